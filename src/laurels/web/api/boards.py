"""Boards: lists, tops, ranks, neighbours and archived windows."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from ...domain.boards import Board
from ...domain.errors import Code, LaurelsError
from ...ledger.catalogue import windows
from ...ranking.scoreboards import ReadyBoard, Scoreboard
from ...ranking.view import PUBLIC, View
from ..auth.access_tokens import Principal
from ..http.responses import JSON, Reply
from ..pipeline.call import Call
from ..pipeline.route import Route
from .codes import LEDGER_AWAY, RANKS_AWAY
from .fields import AnyUsername, Request, Slug


class BoardInfo(msgspec.Struct, frozen=True):
    slug: str
    name: str
    is_default: bool
    order: str
    aggregate: str
    ties: str
    period: str
    time_zone: str


class Boards(msgspec.Struct, frozen=True):
    boards: list[BoardInfo]


class WindowInfo(msgspec.Struct, frozen=True):
    """`ends_at` is exclusive. `id` is what `/windows/{id}` takes."""

    id: int
    starts_at: datetime
    ends_at: datetime


class Windows(msgspec.Struct, frozen=True):
    """Newest first; `next_before` asks for those before them, null when there are no more."""

    windows: list[WindowInfo]
    next_before: int | None


class PlaceOnBoard(msgspec.Struct, frozen=True):
    """`rank` and `score` are null for users who have not scored in this window."""

    board: str
    username: str
    rank: int | None
    score: int | None
    total_users: int
    epoch: str
    seq: int
    rank_state: str


class TopQuery(Request, frozen=True):
    limit: Annotated[int, Meta(ge=1, le=100)] = 10


class BoardQuery(Request, frozen=True):
    slug: Slug
    limit: Annotated[int, Meta(ge=1, le=100)] = 10


class WindowsQuery(Request, frozen=True):
    slug: Slug
    before: Annotated[int, Meta(ge=1, le=2**63 - 1, description="Only windows before the one with this id")] = 2**63 - 1
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class WindowQuery(Request, frozen=True):
    slug: Slug
    window: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    limit: Annotated[int, Meta(ge=1, le=100)] = 10


class AroundQuery(Request, frozen=True):
    slug: Slug
    username: AnyUsername
    radius: Annotated[int, Meta(ge=0, le=50, description="Neighbours on each side")] = 5


class RankQuery(Request, frozen=True):
    slug: Slug
    username: AnyUsername


_READ = {"Content-Type": JSON, "Cache-Control": "no-cache"}


async def get_scoreboard(call: Call) -> Reply:
    return await _top(call, call.services.catalogue.default_board.slug)


async def get_board(call: Call) -> Reply:
    return await _top(call, call.params.slug)


async def get_around(call: Call) -> Scoreboard:
    services, params = call.services, call.params
    services.catalogue.board(params.slug)
    user_id = (await services.directory.who(params.username)).id
    around = await services.scoreboards.around(params.slug, user_id, params.radius, view_of(call))
    if not around.rows:
        raise LaurelsError(Code.USER_UNKNOWN, f"{params.username!r} has not scored on this board yet.")
    return around


async def get_rank(call: Call) -> PlaceOnBoard:
    board = call.services.catalogue.board(call.params.slug)
    who = await call.services.directory.who(call.params.username)
    return await place_on(call, board, who.id, who.username)


async def list_boards(call: Call) -> Boards:
    boards = call.services.catalogue.boards.values()
    return Boards(
        [BoardInfo(b.slug, b.name, b.is_default, b.order, b.aggregate, b.ties, b.period, b.time_zone) for b in boards]
    )


async def list_windows(call: Call) -> Windows:
    params = call.params
    board = call.services.catalogue.board(params.slug)
    found = await windows.before(call.services.reads, board, params.before, params.limit)
    shown = [WindowInfo(w.id, w.span.starts_at, w.span.ends_at) for w in found if w.span.starts_at and w.span.ends_at]
    return Windows(shown, shown[-1].id if len(found) == params.limit else None)


async def get_window(call: Call) -> Reply:
    board = call.services.catalogue.board(call.params.slug)
    body = await call.services.archive.top(board, call.params.window, call.params.limit)
    return Reply(body, 200, dict(_READ))


async def place_on(call: Call, board: Board, user_id: int, username: str) -> PlaceOnBoard:
    """Where a user stands on one board, at the instant that epoch and seq name."""
    ranking = await call.services.scoreboards.place(board, user_id, view_of(call))
    place = ranking.places[0] if ranking.places else None
    return PlaceOnBoard(
        board=board.slug,
        username=username,
        rank=None if place is None else place.rank,
        score=None if place is None else place.score,
        total_users=ranking.total,
        epoch=ranking.epoch,
        seq=ranking.seq,
        rank_state=ranking.rank_state,
    )


def view_of(call: Call) -> View:
    """Return the caller's view of boards."""
    caller = call.caller
    if isinstance(caller, Principal) and caller.user_id in call.services.directory.shadowed:
        return View(caller.user_id)
    return PUBLIC


async def _top(call: Call, slug: str) -> Reply:
    return _ready(call, await call.services.scoreboards.top(slug, call.params.limit, view_of(call)))


def _ready(call: Call, ready: ReadyBoard) -> Reply:
    if not ready.etag:
        return Reply(ready.body)
    headers = {**_READ, "ETag": ready.etag}
    if call.already_has(ready.etag):
        return Reply(b"", 304, headers)
    return Reply(ready.body, 200, headers)


BOARDS: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/scoreboard",
        handler=get_scoreboard,
        tag="Boards",
        summary="The top of the default board",
        description="Carries an ETag; send it back as If-None-Match and an unchanged board answers 304.",
        access="viewer",
        params=TopQuery,
        replies={200: Scoreboard, 304: None},
        problems=RANKS_AWAY,
    ),
    Route(
        method="GET",
        path="/api/boards",
        handler=list_boards,
        tag="Boards",
        summary="All boards",
        replies={200: Boards},
    ),
    Route(
        method="GET",
        path="/api/boards/{slug}",
        handler=get_board,
        tag="Boards",
        summary="The top of a board's present window",
        access="viewer",
        params=BoardQuery,
        replies={200: Scoreboard, 304: None},
        problems=(Code.BOARD_UNKNOWN, *RANKS_AWAY),
    ),
    Route(
        method="GET",
        path="/api/boards/{slug}/windows",
        handler=list_windows,
        tag="Boards",
        summary="The windows a board has had",
        description="The present one first. A board for all time has none: its only window never began.",
        params=WindowsQuery,
        replies={200: Windows},
        problems=(Code.BOARD_UNKNOWN, *LEDGER_AWAY),
    ),
    Route(
        method="GET",
        path="/api/boards/{slug}/windows/{window}",
        handler=get_window,
        tag="Boards",
        summary="The top of one window",
        description="From the ledger and at most a minute old; movement is null, for nobody moves in what is over.",
        params=WindowQuery,
        replies={200: Scoreboard},
        problems=(Code.BOARD_UNKNOWN, Code.WINDOW_UNKNOWN, *LEDGER_AWAY),
    ),
    Route(
        method="GET",
        path="/api/boards/{slug}/around/{username}",
        handler=get_around,
        tag="Boards",
        summary="A user's place with its neighbours",
        access="viewer",
        params=AroundQuery,
        replies={200: Scoreboard},
        problems=(Code.BOARD_UNKNOWN, Code.USER_UNKNOWN, *RANKS_AWAY),
    ),
    Route(
        method="GET",
        path="/api/boards/{slug}/rank/{username}",
        handler=get_rank,
        tag="Boards",
        summary="A user's rank and score",
        access="viewer",
        params=RankQuery,
        replies={200: PlaceOnBoard},
        problems=(Code.BOARD_UNKNOWN, Code.USER_UNKNOWN, *RANKS_AWAY),
    ),
)
