"""Top lists of windows that may have ended, from the ledger: exact, and without users who were banned since.

Counting a window is O(its standings), so answers are cached for a minute and few are computed at once.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from ..concurrency.bulkhead import Bulkhead
from ..concurrency.read_through import Loaded, ReadThrough
from ..domain.boards import Board, Window
from ..domain.errors import Code, LaurelsError
from ..ledger.accounts.directory import Directory
from ..ledger.catalogue import windows
from ..ledger.catalogue.catalogue import Catalogue
from ..ledger.db.replicas import Reads
from .cursors import PageStart
from .index import LEDGER, Ranking
from .scoreboards import Scoreboard, ScoreRow, WindowSpan
from .sql_index import SqlIndex

KEPT_SECONDS = 60.0
KEPT = 128
"""Encoded top lists in the cache."""
AT_ONCE = 2
WAITING = 64
"""Counts that run or wait; the next is refused."""
LATE = timedelta(seconds=15)
"""After so long a batch of a window's last moment is committed or failed (`ledger/write/writer.py`)."""


class Archive:
    """Call `corrected` when the rows of ended windows may have changed."""

    def __init__(self, reads: Reads, catalogue: Catalogue, directory: Directory) -> None:
        self._reads = reads
        self._index = SqlIndex(reads.primary, reads=reads)
        self._catalogue = catalogue
        self._directory = directory
        self._counts = Bulkhead(AT_ONCE, admitted=WAITING, refusal=_too_many)
        self._kept: ReadThrough[tuple[int, int, int], bytes] = ReadThrough("archive", seconds=KEPT_SECONDS, limit=KEPT)

    async def top(self, board: Board, window_id: int, size: int) -> bytes:
        """Return an encoded Scoreboard whose rows have no movement; at most KEPT_SECONDS old.

        Raises LaurelsError WINDOW_UNKNOWN, OVERLOADED or DATABASE_UNAVAILABLE.
        """
        # A ban or an erasure starts a new generation, so its user is gone at once.
        version = self._directory.generation, self._catalogue.generation
        return await self._kept.get((board.id, window_id, size), version, lambda: self._load(board, window_id, size))

    async def page(self, board: Board, window_id: int, start: PageStart, size: int) -> tuple[Window, Ranking]:
        """Return a window and up to `size` of its places, counted now.

        Raises LaurelsError WINDOW_UNKNOWN, OVERLOADED or DATABASE_UNAVAILABLE.
        """
        async with self._counts:
            window = await windows.find(self._reads, board, window_id)
            return window, await start.read(self._index, window, size)

    def corrected(self) -> None:
        """Drop cached lists: rows of the past were reversed, approved or imported."""
        self._kept.invalidate()

    async def _load(self, board: Board, window_id: int, size: int) -> Loaded[bytes]:
        version = self._directory.generation, self._catalogue.generation
        async with self._counts:
            as_of = datetime.now(UTC)
            window = await windows.find(self._reads, board, window_id)
            body = await self._read(window, size, as_of)
        ends_at = window.span.ends_at
        is_late = ends_at is not None and ends_at <= as_of < ends_at + LATE
        return (None if is_late else version), body  # no request asks for version None: the next one loads

    async def _read(self, window: Window, size: int, as_of: datetime) -> bytes:
        ranking = await self._index.top(window, size)
        people = await self._directory.people(place.user_id for place in ranking.places)
        board = window.board
        scoreboard = Scoreboard(
            board=board.slug,
            name=board.name,
            order=board.order,
            period=board.period,
            window=WindowSpan(window.span.starts_at, window.span.ends_at),
            epoch=LEDGER,
            seq=ranking.seq,
            as_of=as_of,
            rank_state="exact",
            total_users=ranking.total,
            rows=[ScoreRow(p.rank, people[p.user_id].username, p.score, None) for p in ranking.places],
        )
        return msgspec.json.encode(scoreboard)


def _too_many() -> LaurelsError:
    return LaurelsError(Code.OVERLOADED, "Too many ended windows are being counted. Try again.", retry_after=1)
