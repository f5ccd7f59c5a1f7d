"""Top lists with names, as ready bytes: encoded once per seq and size, read by everybody.

The index gives places, the directory names, the last snapshot the movement. A read whose board
has not moved costs two dictionary look-ups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from ..concurrency.read_through import ReadThrough
from ..domain.boards import Board, Window
from ..ledger.accounts.directory import Directory
from ..ledger.catalogue.catalogue import Catalogue
from ..ledger.db.replicas import Reads
from ..ledger.standings.snapshots import latest_ranks
from .index import Index, Place, Position, Ranking
from .shadows import Shadows

READY_LIMIT = 512
"""Encoded boards kept: boards x sizes asked for."""
READY_SECONDS = 60.0
"""How long one is kept at most, whatever its version says."""


class WindowSpan(msgspec.Struct, frozen=True):
    """Both null: all time. `ends_at` is exclusive."""

    starts_at: datetime | None
    ends_at: datetime | None


class ScoreRow(msgspec.Struct, frozen=True):
    """`movement`: places gained (+) or lost (-) since the last snapshot; null when new since then."""

    rank: int | None
    username: str
    score: int
    movement: int | None


class Scoreboard(msgspec.Struct, frozen=True):
    """A stretch of one board. Equal `epoch` and `seq` mean: the same instant."""

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


Version = tuple[int, Position, int]
"""Window id, where its index was, and the generation of names and boards."""


@dataclass(frozen=True, slots=True)
class ReadyBoard:
    """A Scoreboard and its encoding. `version` names what it was made from; the ETag is its printed form.

    `shown` is the part that people see: equal when only places below the list have moved.
    `ends_at`: when the window is over, and the board begins anew.
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
    """Where some users stand on one board at one instant; who is not in `places` is not on it."""

    board: str
    epoch: str
    seq: int
    total_users: int
    rank_state: str
    places: dict[int, Place]


_encode = msgspec.json.Encoder().encode


class Scoreboards:
    def __init__(self, index: Index, catalogue: Catalogue, directory: Directory, reads: Reads) -> None:
        self._index = index
        self._catalogue = catalogue
        self._directory = directory
        self._reads = reads
        self.shadows = Shadows(index, reads.primary)
        self._ready: ReadThrough[tuple[str, int], ReadyBoard] = ReadThrough(
            "scoreboards", seconds=READY_SECONDS, limit=READY_LIMIT
        )
        self._baselines: dict[int, dict[int, int]] = {}

    async def top(self, slug: str, size: int) -> ReadyBoard:
        """The first `size` places of a board's present window. Raises LaurelsError(BOARD_UNKNOWN)."""
        board = self._catalogue.board(slug)
        window = await self._catalogue.window(board)
        version = await self._version(window)
        return await self._ready.get((slug, size), version, lambda: self._load(window, size, version[2]))

    async def _load(self, window: Window, size: int, generation: int) -> tuple[Version, ReadyBoard]:
        ranking = await self._index.top(window, size)
        scoreboard = await self._scoreboard(window, ranking)
        # Names may have been awaited: the version is the one of the ranking that was read.
        version = (window.id, Position(ranking.epoch, ranking.seq), generation)
        return version, self._encoded(window, scoreboard, version, size)

    async def around(self, slug: str, user_id: int, radius: int) -> Scoreboard:
        """A user's place with its neighbours; no rows when the user is not on the board."""
        window = await self._catalogue.window(self._catalogue.board(slug))
        ranking = await self._index.around(window, user_id, radius)
        return await self._scoreboard(window, ranking)

    async def top_as(self, user_id: int, slug: str, size: int) -> Scoreboard:
        """The same as a shadowed user sees it. Raises LaurelsError(BOARD_UNKNOWN)."""
        window = await self._catalogue.window(self._catalogue.board(slug))
        return await self._scoreboard(window, await self.shadows.top(window, user_id, size))

    async def ready_as(self, user_id: int, slug: str, size: int) -> ReadyBoard:
        """`top_as`, encoded. Nothing is kept: shadowed users are few."""
        window = await self._catalogue.window(self._catalogue.board(slug))
        board = await self._scoreboard(window, await self.shadows.top(window, user_id, size))
        return self._encoded(window, board, (window.id, Position(board.epoch, board.seq), 0), size)

    async def around_as(self, slug: str, user_id: int, radius: int) -> Scoreboard:
        """A shadowed user with its neighbours, as that user sees it."""
        window = await self._catalogue.window(self._catalogue.board(slug))
        return await self._scoreboard(window, await self.shadows.around(window, user_id, radius))

    async def places(self, slug: str, user_ids: Sequence[int]) -> PlacesOnBoard:
        """Many users' places, in one call of the index. Raises LaurelsError(BOARD_UNKNOWN)."""
        window = await self._catalogue.window(self._catalogue.board(slug))
        ranking = await self._index.places(window, user_ids)
        places = {place.user_id: place for place in ranking.places}
        for user_id in self._directory.shadowed.intersection(user_ids):  # they see themselves; nobody else does
            own = await self.shadows.place(window, user_id)
            places.update({place.user_id: place for place in own.places})
        return PlacesOnBoard(slug, ranking.epoch, ranking.seq, ranking.total, ranking.rank_state, places)

    async def remember_snapshot(self) -> None:
        """A snapshot was taken: movement counts from there."""
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

    def _encoded(self, window: Window, board: Scoreboard, version: Version, size: int) -> ReadyBoard:
        etag = f'"{board.epoch}-{window.id}-{board.seq}-{version[2]}-{size}"'
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
