"""Top lists with names, encoded once per seq and size for all readers.

The index has the places, the directory the names, the last snapshot the movement. Reading a board that has not changed
costs two dictionary look-ups.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import msgspec
from msgspec.structs import replace

from ..concurrency.read_through import ReadThrough
from ..domain.actions import Placement, RankState, present_placement
from ..domain.boards import Board, Window
from ..ledger.accounts.directory import Directory
from ..ledger.catalogue.catalogue import Catalogue
from ..ledger.db.replicas import Reads
from ..ledger.standings.snapshots import latest_ranks
from .cursors import PageStart, next_cursor
from .index import Index, Place, Position, Ranking, key_of, ranked_in_order
from .shadows import Shadows
from .view import PUBLIC, View

READY_LIMIT = 512
"""Encoded boards kept: boards x sizes asked for."""
PLACEMENT_SECONDS = 0.3
"""How long a receipt waits for a rank: new actions may be acknowledged together with it."""
READY_SECONDS = 60.0
"""Longest time in seconds that one is kept, whatever its version."""


class WindowSpan(msgspec.Struct, frozen=True):
    """When a window begins and ends, exclusive; both null for all time."""

    starts_at: datetime | None
    ends_at: datetime | None


class ScoreRow(msgspec.Struct, frozen=True):
    """One place. `movement`: ranks gained (+) or lost (-) since the last snapshot; null when new since then."""

    rank: int | None
    username: str
    score: int
    movement: int | None


class Scoreboard(msgspec.Struct, frozen=True):
    """Consecutive places of one board. Equal `epoch` and `seq` mean the same instant."""

    board: str
    name: str
    order: str
    period: str
    window: WindowSpan
    epoch: str
    seq: int
    as_of: datetime
    rank_state: str
    total_users: int
    rows: list[ScoreRow]


class ScoreboardPage(Scoreboard, frozen=True):
    """Some places of a board. `next` is the cursor of the page behind it, null on the last page.

    `moved`: the board has changed since the page before, so a user may be missing or shown twice; null when that is not
    known, because the ledger was counted.
    """

    next: str | None
    moved: bool | None


Version = tuple[int, Position, int]
"""Window id, position of its index, and the generation of names and boards."""


@dataclass(frozen=True, slots=True)
class ReadyBoard:
    """A Scoreboard and its encoding. `version` names what it was made from; the ETag is its printed form, or empty
    where the version does not determine what is shown.

    `shown` encodes what people see: it is equal when only places below the list changed.
    `ends_at`: when the window ends and the next one begins.
    """

    board: Scoreboard
    body: bytes
    shown: bytes
    etag: str
    seq: int
    version: Version
    ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class PlacesOnBoard:
    """Places of some users on one board at one instant; a user who is not in `places` is not on it."""

    board: str
    epoch: str
    seq: int
    total_users: int
    rank_state: RankState
    places: dict[int, Place]


@dataclass(frozen=True, slots=True)
class RankedSet:
    """Some users of a board at one instant, best first: their places on it, and their ranks among themselves."""

    ranking: Ranking
    places: tuple[Place, ...]
    ranks_within: list[int]


_encode = msgspec.json.Encoder().encode


class Scoreboards:
    """Reads boards for display. Call `remember_snapshot` when a snapshot was taken."""

    def __init__(self, index: Index, catalogue: Catalogue, directory: Directory, reads: Reads) -> None:
        self._index = index
        self._catalogue = catalogue
        self._directory = directory
        self._reads = reads
        self._shadows = Shadows(index, reads.primary)
        self._ready: ReadThrough[tuple[str, int], ReadyBoard] = ReadThrough(
            "scoreboards", seconds=READY_SECONDS, limit=READY_LIMIT
        )
        self._baselines: dict[int, dict[int, int]] = {}

    async def top(self, slug: str, size: int, view: View = PUBLIC) -> ReadyBoard:
        """Return the first `size` places of a board's current window. Raises LaurelsError(BOARD_UNKNOWN).

        The public view is encoded once per version; other views are read each time, because shadowed users are few.
        """
        window = await self._catalogue.window(self._catalogue.board(slug))
        if view.shadowed_user is not None:
            return await self._private_top(window, size, view.shadowed_user)
        version = await self._version(window)
        return await self._ready.get((slug, size), version, lambda: self._load(window, size, version[2]))

    async def _load(self, window: Window, size: int, generation: int) -> tuple[Version, ReadyBoard]:
        ranking = await self._index.top(window, size)
        scoreboard = await self._scoreboard(window, ranking)
        # Names may have been awaited: the version is the one of the ranking that was read.
        version = (window.id, Position(ranking.epoch, ranking.seq), generation)
        etag = f'"{ranking.epoch}-{window.id}-{ranking.seq}-{generation}-{size}"'
        return version, self._encoded(window, scoreboard, version, etag)

    async def _private_top(self, window: Window, size: int, user_id: int) -> ReadyBoard:
        board = await self._scoreboard(window, await self._shadows.top(window, user_id, size))
        # No ETag: the user's own standing changes what they see without moving the index.
        return self._encoded(window, board, (window.id, Position(board.epoch, board.seq), 0), etag="")

    async def page(self, window: Window, start: PageStart, size: int, view: View = PUBLIC) -> ScoreboardPage:
        """Return a page of the current window of a board. O(log n + size) in an index, at any depth."""
        own = view.shadowed_user
        if own is not None and start.behind is not None:
            ranking = await self._shadows.after(window, own, start.behind, size + 1)
        elif own is not None:
            ranking = await self._shadows.page(window, own, start.first, size + 1)
        else:
            ranking = await start.read(self._index, window, size + 1)
        return await self.as_page(window, start, size, ranking)

    async def as_page(self, window: Window, start: PageStart, size: int, ranking: Ranking) -> ScoreboardPage:
        """Return a page from a ranking that was asked for one place more than `size`."""
        shown = replace(ranking, places=ranking.places[:size])
        scoreboard = await self._scoreboard(window, shown)
        has_more = len(ranking.places) > size
        return ScoreboardPage(
            **msgspec.structs.asdict(scoreboard),
            next=next_cursor(window, shown) if has_more else None,
            moved=start.has_moved(ranking),
        )

    async def around(self, slug: str, user_id: int, radius: int, view: View = PUBLIC) -> Scoreboard:
        """Return a user's place with its neighbours; no rows when the user is not on the board in this view."""
        window = await self._catalogue.window(self._catalogue.board(slug))
        index = self._shadows if view.shadowed_user == user_id else self._index
        return await self._scoreboard(window, await index.around(window, user_id, radius))

    async def place(self, board: Board, user_id: int, view: View = PUBLIC) -> Ranking:
        """Return a ranking with the place of one user, or without places when the user has none in this view."""
        window = await self._catalogue.window(board)
        if view.shadowed_user == user_id:
            return await self._shadows.place(window, user_id)
        return await self._index.places(window, [user_id])

    async def among(self, board: Board, user_ids: Sequence[int], view: View = PUBLIC) -> RankedSet:
        """Return the places of these users on a board, best first, with their ranks among themselves."""
        window = await self._catalogue.window(board)
        own = view.shadowed_user
        if own is None:
            ranking = await self._index.places(window, user_ids)
        else:
            ranking = await self._shadows.among(window, own, user_ids)
        places = tuple(sorted(ranking.places, key=partial(key_of, board)))
        within = ranked_in_order(board, 1, 1, places)
        return RankedSet(ranking, places, [place.rank for place in within])

    async def places(self, slug: str, user_ids: Sequence[int]) -> PlacesOnBoard:
        """Return many users' places in one call of the index. Raises LaurelsError(BOARD_UNKNOWN)."""
        window = await self._catalogue.window(self._catalogue.board(slug))
        ranking = await self._index.places(window, user_ids)
        places = {place.user_id: place for place in ranking.places}
        for user_id in self._directory.shadowed.intersection(user_ids):  # each sees themselves; no other user does
            own = await self._shadows.place(window, user_id)
            places.update({place.user_id: place for place in own.places})
        return PlacesOnBoard(slug, ranking.epoch, ranking.seq, ranking.total, ranking.rank_state, places)

    async def placements(self, user_ids: Collection[int]) -> Mapping[int, Placement]:
        """Return user id -> placement in the default board now, for receipts of actions that were sent again.

        An index that does not answer within PLACEMENT_SECONDS leaves the ranks unknown.
        """
        try:
            async with asyncio.timeout(PLACEMENT_SECONDS):
                found = await self.places(self._catalogue.default_board.slug, list(user_ids))
        except TimeoutError:
            return dict.fromkeys(user_ids, present_placement(None, None, "rebuilding"))
        state, seq = found.rank_state, found.seq if found.rank_state == "exact" else None
        ranks = {user_id: place.rank for user_id, place in found.places.items()}
        return {user_id: present_placement(ranks.get(user_id), seq, state) for user_id in user_ids}

    async def remember_snapshot(self) -> None:
        """Compute movement from the newest snapshot from now on."""
        windows = await self._catalogue.windows_at(datetime.now(UTC))
        self._baselines = {w.id: await latest_ranks(self._reads, w.id) for w in windows}
        self._directory.forget()
        self._ready.invalidate()

    async def _version(self, window: Window) -> Version:
        return window.id, await self._index.position(window), self._directory.generation + self._catalogue.generation

    async def _rows(self, window: Window, ranking: Ranking) -> list[ScoreRow]:
        people = await self._directory.people(place.user_id for place in ranking.places)
        baseline = self._baselines.get(window.id, {})
        rows = []
        for place in ranking.places:
            person = people[place.user_id]
            before = baseline.get(place.user_id)
            if before is None and window.board.is_default:
                before = person.snapshot_rank
            movement = None if before is None else before - place.rank
            rows.append(ScoreRow(place.rank, person.username, place.score, movement))
        return rows

    def _encoded(self, window: Window, board: Scoreboard, version: Version, etag: str) -> ReadyBoard:
        shown = _encode((board.rows, board.total_users, board.rank_state, board.name, window.id))
        return ReadyBoard(board, _encode(board), shown, etag, board.seq, version, window.span.ends_at)

    async def _scoreboard(self, window: Window, ranking: Ranking) -> Scoreboard:
        board: Board = window.board
        as_of = datetime.now(UTC)  # before names are awaited: it is the instant of the ranking
        rows = await self._rows(window, ranking)
        return Scoreboard(
            board=board.slug,
            name=board.name,
            order=board.order,
            period=board.period,
            window=WindowSpan(window.span.starts_at, window.span.ends_at),
            epoch=ranking.epoch,
            seq=ranking.seq,
            as_of=as_of,
            rank_state=ranking.rank_state,
            total_users=ranking.total,
            rows=rows,
        )
