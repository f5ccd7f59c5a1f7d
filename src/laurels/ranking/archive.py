"""Top lists of windows that may be over, from the ledger: exact, and without whoever has been banned since.

Counting a window is O(its standings), so answers are kept for a minute and few are made at once.
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
from .scoreboards import Scoreboard, ScoreRow, WindowSpan
from .sql_index import SqlIndex

KEPT_SECONDS = 60.0
KEPT = 128
AT_ONCE = 2
WAITING = 64
LATE = timedelta(seconds=15)
"""A batch of a window's last moment is committed or given up by then (`ledger/write/writer.py`)."""


class Archive:
    """Call `corrected` when the rows of windows that are over may have changed."""

    def __init__(self, reads: Reads, catalogue: Catalogue, directory: Directory) -> None:
        self._reads = reads
        self._index = SqlIndex(reads.primary, reads=reads)
        self._catalogue = catalogue
        self._directory = directory
        self._counts = Bulkhead(AT_ONCE, admitted=WAITING, refusal=_too_many)
        self._kept: ReadThrough[tuple[int, int, int], bytes] = ReadThrough("archive", seconds=KEPT_SECONDS, limit=KEPT)

    async def top(self, board: Board, window_id: int, size: int) -> bytes:
        """An encoded Scoreboard whose rows have no movement; at most KEPT_SECONDS old.

        Raises LaurelsError WINDOW_UNKNOWN, OVERLOADED or DATABASE_UNAVAILABLE.
        """
        # Whoever is banned or erased is gone at once: that makes a new generation.
        version = self._directory.generation, self._catalogue.generation
        return await self._kept.get((board.id, window_id, size), version, lambda: self._load(board, window_id, size))

    def corrected(self) -> None:
        """Rows of the past were undone, approved or brought in."""
        self._kept.invalidate()

    async def _load(self, board: Board, window_id: int, size: int) -> Loaded[bytes]:
        version = self._directory.generation, self._catalogue.generation
        async with self._counts:
            as_of = datetime.now(UTC)
            window = await windows.find(self._reads, board, window_id)
            body = await self._read(window, size, as_of)
        ends_at = window.span.ends_at
        is_late = ends_at is not None and ends_at <= as_of < ends_at + LATE
        return (None if is_late else version), body  # None is nobody's version: the next one who asks loads

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
            epoch="ledger",
            seq=ranking.seq,
            as_of=as_of,
            rank_state="exact",
            total_users=ranking.total,
            rows=[ScoreRow(p.rank, people[p.user_id].username, p.score, None) for p in ranking.places],
        )
        return msgspec.json.encode(scoreboard)


def _too_many() -> LaurelsError:
    return LaurelsError(Code.OVERLOADED, "Too many ended windows are being counted. Try again.", retry_after=1)
