"""Boards, as operators read and change them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ...app import catalogue
from ...app.admin_context import AdminContext
from ...domain.board_summary import summarize
from ...domain.boards import Ties
from ...domain.calendars import ALL_TIME_CALENDAR, Calendar
from ...domain.errors import Code
from ...domain.standings import INT64_MAX, Aggregate, Order
from ...ledger.catalogue.board_editor import BoardDraft, EditedBoard
from ..fields import NO_CONTROLS, ListQuery, Reason, Request, Slug, TypeName, Version, changes_in, given
from ..http.responses import Reply, json_reply
from ..pipeline.call import Call
from ..pipeline.route import Route
from .codes import LEDGER_AWAY

BoardName = Annotated[str, Meta(min_length=1, max_length=64, pattern=NO_CONTROLS, examples=["This month"])]


PointsCap = Annotated[int, Meta(ge=1, le=INT64_MAX)]


BoardTypes = Annotated[list[TypeName], Meta(min_length=1, max_length=100)]


class CreateBoard(Request, frozen=True):
    """Without `action_types` all types count. A board with a calendar starts with the window that is open.

    The default calendar has one window for all time.
    """

    slug: Slug
    name: BoardName
    order: Order = "desc"
    aggregate: Aggregate = "sum"
    ties: Ties = "ordinal"
    calendar: Calendar = ALL_TIME_CALENDAR
    action_types: BoardTypes | None = None
    reason: Reason | None = None


class EditBoard(Request, frozen=True):
    """Members left out stay unchanged. Members that define a rank are fixed: they may be sent, but not changed."""

    version: Version
    name: BoardName | UnsetType = UNSET
    daily_points_cap: PointsCap | UnsetType | None = UNSET
    archived: bool | UnsetType = UNSET
    order: Order | UnsetType = UNSET
    aggregate: Aggregate | UnsetType = UNSET
    ties: Ties | UnsetType = UNSET
    calendar: Calendar | UnsetType = UNSET
    action_types: BoardTypes | UnsetType | None = UNSET
    reason: Reason | None = None


class AdminBoard(msgspec.Struct, frozen=True):
    """`state`: filling (earlier actions are being folded in; not shown yet), open, or archived.

    `summary` says in a sentence what the board ranks.
    """

    id: int
    slug: str
    name: str
    order: str
    aggregate: str
    ties: str
    summary: str
    calendar: Calendar
    action_types: list[str] | None
    daily_points_cap: int | None
    is_default: bool
    state: str
    archived_at: datetime | None
    version: int


class AdminBoards(msgspec.Struct, frozen=True):
    boards: list[AdminBoard]
    next: str | None


class BoardsQuery(ListQuery, frozen=True):
    archived: bool | UnsetType = UNSET


class AdminBoardQuery(Request, frozen=True):
    slug: Slug


async def list_all_boards(context: AdminContext, call: Call) -> AdminBoards:
    """Return a page of boards, oldest first."""
    query = call.params
    found = await catalogue.list_boards(context, query.cursor, query.limit, archived=given(query.archived))
    return AdminBoards([_board(board) for board in found.rows], found.next)


async def get_admin_board(context: AdminContext, call: Call) -> AdminBoard:
    """Return a board as operators see it."""
    return _board(await catalogue.get_board(context, call.params.slug))


async def create_board(context: AdminContext, call: Call) -> Reply:
    """Create a board; reply 201."""
    body = call.body
    kinds = None if body.action_types is None else tuple(body.action_types)
    draft = BoardDraft(body.slug, body.name, body.order, body.aggregate, body.ties, body.calendar, kinds)
    created = await catalogue.create_board(context, draft, call.actor, body.reason)
    return json_reply(_board(created), 201)


async def edit_board(context: AdminContext, call: Call) -> AdminBoard:
    """Change the members that were sent."""
    changes = changes_in(call.body)
    if changes.get("action_types") is not None:
        changes["action_types"] = tuple(changes["action_types"])
    edited = await catalogue.edit_board(
        context,
        call.params.slug,
        changes,
        call.actor,
        call.body.reason,
        version=call.body.version,
    )
    return _board(edited)


def _board(board: EditedBoard) -> AdminBoard:
    draft = board.draft
    return AdminBoard(
        id=board.id,
        slug=draft.slug,
        name=draft.name,
        order=draft.order,
        aggregate=draft.aggregate,
        ties=draft.ties,
        summary=summarize(
            draft.calendar,
            aggregate=draft.aggregate,
            order=draft.order,
            ties=draft.ties,
            action_types=draft.action_types,
        ),
        calendar=draft.calendar,
        action_types=None if draft.action_types is None else list(draft.action_types),
        daily_points_cap=draft.daily_points_cap,
        is_default=board.is_default,
        state=board.state,
        archived_at=board.archived_at,
        version=board.version,
    )


_TAG = "Admin: catalogue"

ADMIN_BOARDS: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/admin/boards",
        handler=list_all_boards,
        tag=_TAG,
        summary="List all boards, including archived ones and those being filled",
        access="admin",
        limit="user",
        params=BoardsQuery,
        replies={200: AdminBoards},
        problems=LEDGER_AWAY,
    ),
    Route(
        method="POST",
        path="/api/admin/boards",
        handler=create_board,
        tag=_TAG,
        summary="Create a board",
        description="Earlier actions are folded into it first; then it is shown (`state` becomes open).",
        access="admin",
        scope="catalogue:write",
        limit="user",
        body=CreateBoard,
        replies={201: AdminBoard},
        problems=(Code.ALREADY_EXISTS, Code.CATALOGUE_FULL, *LEDGER_AWAY),
    ),
    Route(
        method="GET",
        path="/api/admin/boards/{slug}",
        handler=get_admin_board,
        tag=_TAG,
        summary="Get a board and its version",
        access="admin",
        limit="user",
        params=AdminBoardQuery,
        replies={200: AdminBoard},
        problems=(Code.BOARD_UNKNOWN, *LEDGER_AWAY),
    ),
    Route(
        method="PATCH",
        path="/api/admin/boards/{slug}",
        handler=edit_board,
        tag=_TAG,
        summary="Rename, cap or archive a board",
        description="Order, aggregate, ties, calendar and types can't be changed: create another board instead.",
        access="admin",
        scope="catalogue:write",
        limit="user",
        params=AdminBoardQuery,
        body=EditBoard,
        replies={200: AdminBoard},
        problems=(
            Code.BOARD_UNKNOWN,
            Code.VERSION_CONFLICT,
            Code.BOARD_FIXED,
            Code.CATALOGUE_FULL,
            *LEDGER_AWAY,
        ),
    ),
)
