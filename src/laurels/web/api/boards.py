"""Boards: lists, tops, ranks, neighbours, and windows that have ended."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ...app import boards
from ...app.boards import Boards, PlaceOnBoard, RanksOnBoard, Windows
from ...app.context import BoardContext
from ...domain.errors import Code, LaurelsError
from ...ranking.cursors import PageStart, page_start
from ...ranking.scoreboards import Scoreboard, ScoreboardPage
from ...ranking.view import View
from ..fields import AnyUsername, Request, Slug
from ..http.responses import JSON, Reply
from ..pipeline.call import Call
from ..pipeline.route import Route
from .codes import LEDGER_AWAY, RANKS_AWAY

_READ = {"Content-Type": JSON, "Cache-Control": "no-cache"}


class TopQuery(Request, frozen=True):
    limit: Annotated[int, Meta(ge=1, le=100)] = 10


class BoardQuery(Request, frozen=True):
    slug: Slug
    limit: Annotated[int, Meta(ge=1, le=100)] = 10


class RowsQuery(Request, frozen=True):
    """`cursor` continues behind an earlier page; then `from_rank` and `window` are not given."""

    slug: Slug
    from_rank: Annotated[int, Meta(ge=1, le=2**53, description="Position of the first row, counted without ties")] = 1
    limit: Annotated[int, Meta(ge=1, le=100)] = 50
    window: Annotated[int, Meta(ge=1, le=2**63 - 1, description="Id of a window; default: the current one")] | None = (
        None
    )
    cursor: Annotated[str, Meta(min_length=1, max_length=500, description="`next` of the page before")] | None = None


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


class RanksQuery(Request, frozen=True):
    slug: Slug


class ReadRanks(Request, frozen=True):
    """A name that is sent twice counts once."""

    usernames: Annotated[list[AnyUsername], Meta(min_length=1, max_length=500)]


class RankQuery(Request, frozen=True):
    slug: Slug
    username: AnyUsername


_READ = {"Content-Type": JSON, "Cache-Control": "no-cache"}


async def get_scoreboard(context: BoardContext, call: Call) -> Reply:
    """Answer with the top of the default board."""
    return await _top(context, call, None)


async def get_board(context: BoardContext, call: Call) -> Reply:
    """Answer with the top of a board."""
    return await _top(context, call, call.params.slug)


async def get_rows(context: BoardContext, call: Call) -> ScoreboardPage:
    """Answer with a page of a board at any depth."""
    params = call.params
    if params.cursor is None:
        start = PageStart(first=params.from_rank, window_id=params.window)
    elif params.from_rank != 1 or params.window is not None:
        detail = "A cursor says where its page begins: leave out from_rank and window."
        raise LaurelsError(Code.INVALID_REQUEST, detail, path="$.cursor")
    else:
        start = page_start(params.cursor)
    return await boards.read_page(context, params.slug, start, params.limit, _view(context, call))


async def get_around(context: BoardContext, call: Call) -> Scoreboard:
    """Answer with a user's place and its neighbours."""
    params = call.params
    return await boards.read_around(context, params.slug, params.username, params.radius, _view(context, call))


async def get_rank(context: BoardContext, call: Call) -> PlaceOnBoard:
    """Answer with a user's place."""
    return await boards.read_rank(context, call.params.slug, call.params.username, _view(context, call))


async def get_ranks(context: BoardContext, call: Call) -> RanksOnBoard:
    """Answer with the ranks of a set of users, on the board and among themselves."""
    return await boards.read_ranks(context, call.params.slug, call.body.usernames, _view(context, call))


async def list_boards(context: BoardContext, _: Call) -> Boards:
    """Answer with all open boards."""
    return boards.list_boards(context)


async def list_windows(context: BoardContext, call: Call) -> Windows:
    """Answer with a page of a board's windows."""
    return await boards.list_windows(context, call.params.slug, call.params.before, call.params.limit)


async def get_window(context: BoardContext, call: Call) -> Reply:
    """Answer with the top of one window."""
    body = await boards.read_window(context, call.params.slug, call.params.window, call.params.limit)
    return Reply(body, 200, dict(_READ))


async def _top(context: BoardContext, call: Call, slug: str | None) -> Reply:
    ready = await boards.read_top(context, slug, call.params.limit, _view(context, call))
    if not ready.etag:
        return Reply(ready.body)
    headers = {**_READ, "ETag": ready.etag}
    if call.already_has(ready.etag):
        return Reply(b"", 304, headers)
    return Reply(ready.body, 200, headers)


def _view(context: BoardContext, call: Call) -> View:
    return boards.view_of(context, call.user_id)


BOARDS: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/scoreboard",
        handler=get_scoreboard,
        tag="Boards",
        summary="Get the top of the default board",
        description="The reply has an ETag. Send it back as If-None-Match, and an unchanged board returns 304.",
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
        summary="List all boards",
        replies={200: Boards},
    ),
    Route(
        method="GET",
        path="/api/boards/{slug}",
        handler=get_board,
        tag="Boards",
        summary="Get the top of a board's current window",
        access="viewer",
        params=BoardQuery,
        replies={200: Scoreboard, 304: None},
        problems=(Code.BOARD_UNKNOWN, *RANKS_AWAY),
    ),
    Route(
        method="GET",
        path="/api/boards/{slug}/rows",
        handler=get_rows,
        tag="Boards",
        summary="Get a page of a board, at any depth",
        description=(
            "Starts at `from_rank`, or behind an earlier page with its `next` as `cursor`. The pages of one version of "
            "a board neither repeat nor skip a row; `moved` says that the version has changed since the page before."
        ),
        access="viewer",
        params=RowsQuery,
        replies={200: ScoreboardPage},
        problems=(Code.BOARD_UNKNOWN, Code.WINDOW_UNKNOWN, *RANKS_AWAY),
    ),
    Route(
        method="GET",
        path="/api/boards/{slug}/windows",
        handler=list_windows,
        tag="Boards",
        summary="List the windows of a board",
        description="The current one first. A board for all time has none, because its only window has no start.",
        params=WindowsQuery,
        replies={200: Windows},
        problems=(Code.BOARD_UNKNOWN, *LEDGER_AWAY),
    ),
    Route(
        method="GET",
        path="/api/boards/{slug}/windows/{window}",
        handler=get_window,
        tag="Boards",
        summary="Get the top of one window",
        description="Read from the ledger, at most a minute old. `movement` is null.",
        params=WindowQuery,
        replies={200: Scoreboard},
        problems=(Code.BOARD_UNKNOWN, Code.WINDOW_UNKNOWN, *LEDGER_AWAY),
    ),
    Route(
        method="GET",
        path="/api/boards/{slug}/around/{username}",
        handler=get_around,
        tag="Boards",
        summary="Get a user's place with its neighbours",
        access="viewer",
        params=AroundQuery,
        replies={200: Scoreboard},
        problems=(Code.BOARD_UNKNOWN, Code.USER_UNKNOWN, *RANKS_AWAY),
    ),
    Route(
        method="POST",
        path="/api/boards/{slug}/ranks",
        handler=get_ranks,
        tag="Boards",
        summary="Get the ranks of a set of users, such as friends",
        description="Up to 500 users at one instant, with their ranks on the board and among themselves.",
        access="viewer",
        params=RanksQuery,
        body=ReadRanks,
        replies={200: RanksOnBoard},
        problems=(Code.BOARD_UNKNOWN, *RANKS_AWAY),
    ),
    Route(
        method="GET",
        path="/api/boards/{slug}/rank/{username}",
        handler=get_rank,
        tag="Boards",
        summary="Get a user's rank and score",
        access="viewer",
        params=RankQuery,
        replies={200: PlaceOnBoard},
        problems=(Code.BOARD_UNKNOWN, Code.USER_UNKNOWN, *RANKS_AWAY),
    ),
)
