"""Reading boards: tops, neighbours, ranks, and windows that have ended.

A top comes encoded, with an ETag; reading one that has not changed costs no query.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from ..domain.boards import Board
from ..domain.calendars import Calendar
from ..domain.errors import Code, LaurelsError
from ..ledger.accounts.directory import UserRef
from ..ledger.catalogue import windows
from ..ranking.cursors import PageStart
from ..ranking.index import Ranking
from ..ranking.scoreboards import ReadyBoard, Scoreboard, ScoreboardPage
from ..ranking.view import PUBLIC, View
from .context import BoardContext


class BoardInfo(msgspec.Struct, frozen=True):
    slug: str
    name: str
    is_default: bool
    order: str
    aggregate: str
    ties: str
    period: str
    calendar: Calendar


class Boards(msgspec.Struct, frozen=True):
    boards: list[BoardInfo]


class WindowInfo(msgspec.Struct, frozen=True):
    """`ends_at` is exclusive. `id` goes into `/windows/{id}`."""

    id: int
    starts_at: datetime
    ends_at: datetime


class Windows(msgspec.Struct, frozen=True):
    """Newest first. Send `next_before` as `before` to get older ones; null: there are none."""

    windows: list[WindowInfo]
    next_before: int | None


class RankRow(msgspec.Struct, frozen=True):
    """`rank_within` is the rank among the users asked for. All null for users who have not scored in this window."""

    username: str
    rank: int | None
    rank_within: int | None
    score: int | None


class RanksOnBoard(msgspec.Struct, frozen=True):
    """Best first, users without a score last. `unknown`: names that no user has."""

    board: str
    epoch: str
    seq: int
    total_users: int
    rank_state: str
    rows: list[RankRow]
    unknown: list[str]


class PlaceOnBoard(msgspec.Struct, frozen=True):
    """`rank` and `score` are null when the user has not scored in this window."""

    board: str
    username: str
    rank: int | None
    score: int | None
    total_users: int
    epoch: str
    seq: int
    rank_state: str


def view_of(context: BoardContext, user_id: int | None) -> View:
    """Return the view in which a user sees boards; None: an anonymous caller."""
    return View(user_id) if user_id in context.directory.shadowed else PUBLIC


def list_boards(context: BoardContext) -> Boards:
    """Return all boards that are open."""
    boards = context.catalogue.boards.values()
    return Boards(
        [BoardInfo(b.slug, b.name, b.is_default, b.order, b.aggregate, b.ties, b.period, b.calendar) for b in boards]
    )


async def read_top(context: BoardContext, slug: str | None, size: int, view: View) -> ReadyBoard:
    """Return the top of a board's current window; `slug` None: of the default board.

    Raises LaurelsError(BOARD_UNKNOWN). A shadowed user's view has no ETag.
    """
    return await context.scoreboards.top(slug or context.catalogue.default_board.slug, size, view)


async def read_page(context: BoardContext, slug: str, start: PageStart, size: int, view: View) -> ScoreboardPage:
    """Return `size` places of a board from `start` on, in the current window or in one that has ended.

    Raises LaurelsError BOARD_UNKNOWN, WINDOW_UNKNOWN, OVERLOADED or DATABASE_UNAVAILABLE.
    """
    board = context.catalogue.board(slug)
    current = await context.catalogue.window(board)
    if start.window_id in (None, current.id):
        return await context.scoreboards.page(current, start, size, view)
    window, ranking = await context.archive.page(board, start.window_id, start, size + 1)
    return await context.scoreboards.as_page(window, start, size, ranking)


async def read_around(context: BoardContext, slug: str, username: str, radius: int, view: View) -> Scoreboard:
    """Return a user's place with up to `radius` neighbours on each side.

    Raises LaurelsError BOARD_UNKNOWN, or USER_UNKNOWN, also for a user who has not scored there.
    """
    context.catalogue.board(slug)
    user_id = (await context.directory.by_name(username)).id
    around = await context.scoreboards.around(slug, user_id, radius, view)
    if not around.rows:
        raise LaurelsError(Code.USER_UNKNOWN, f"{username!r} has not scored on this board yet.")
    return around


async def read_rank(context: BoardContext, slug: str, username: str, view: View) -> PlaceOnBoard:
    """Return a user's place. Raises LaurelsError BOARD_UNKNOWN or USER_UNKNOWN."""
    board = context.catalogue.board(slug)
    who = await context.directory.by_name(username)
    return _place_on(board, who.username, await context.scoreboards.place(board, who.id, view))


async def read_ranks(context: BoardContext, slug: str, usernames: Sequence[str], view: View) -> RanksOnBoard:
    """Return the places of these users on a board and among themselves. Raises LaurelsError(BOARD_UNKNOWN)."""
    board = context.catalogue.board(slug)
    names = list(dict.fromkeys(usernames))
    found = await context.directory.resolve([UserRef(username=name) for name in names])
    blocked = context.directory.blocked
    ids = {name: id_ for name, id_ in zip(names, found, strict=True) if id_ is not None and id_ not in blocked}
    ranked = await context.scoreboards.among(board, list(dict.fromkeys(ids.values())), view)
    people = await context.directory.people(ids.values())
    rows = [
        RankRow(people[place.user_id].username, place.rank, within, place.score)
        for place, within in zip(ranked.places, ranked.ranks_within, strict=True)
    ]
    placed = {place.user_id for place in ranked.places}
    unplaced = [user_id for user_id in dict.fromkeys(ids.values()) if user_id not in placed]
    rows += [RankRow(people[user_id].username, None, None, None) for user_id in unplaced]
    unknown = [name for name in names if name not in ids]
    ranking = ranked.ranking
    return RanksOnBoard(slug, ranking.epoch, ranking.seq, ranking.total, ranking.rank_state, rows, unknown)


async def read_places(context: BoardContext, user_id: int, username: str, view: View) -> list[PlaceOnBoard]:
    """Return a user's place on every board."""
    return [
        _place_on(board, username, await context.scoreboards.place(board, user_id, view))
        for board in list(context.catalogue.boards.values())
    ]


async def list_windows(context: BoardContext, slug: str, before: int, limit: int) -> Windows:
    """Return windows that began before the one with the id `before`, newest first.

    Raises LaurelsError(BOARD_UNKNOWN).
    """
    board = context.catalogue.board(slug)
    found = await windows.before(context.reads, board, before, limit)
    shown = [WindowInfo(w.id, w.span.starts_at, w.span.ends_at) for w in found if w.span.starts_at and w.span.ends_at]
    return Windows(shown, shown[-1].id if len(found) == limit else None)


async def read_window(context: BoardContext, slug: str, window_id: int, size: int) -> bytes:
    """Return the top of one window as an encoded Scoreboard, at most a minute old.

    Raises LaurelsError BOARD_UNKNOWN, WINDOW_UNKNOWN, OVERLOADED or DATABASE_UNAVAILABLE.
    """
    return await context.archive.top(context.catalogue.board(slug), window_id, size)


def _place_on(board: Board, username: str, ranking: Ranking) -> PlaceOnBoard:
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
