"""Top lists of windows that may be over, from the ledger: exact, and without whoever has been banned since.

Counting a window is O(its standings), so answers are kept for a minute and few are made at once.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from datetime import UTC, datetime

import msgspec

from ..domain.boards import Window
from ..ledger.directory import Directory
from ..ledger.pool import Pool
from .scoreboards import Scoreboard, ScoreRow, WindowSpan
from .sql import SqlIndex

KEPT_SECONDS = 60.0
KEPT = 128
AT_ONCE = 2


class Archive:
    def __init__(self, pool: Pool, directory: Directory) -> None:
        self._index = SqlIndex(pool)
        self._directory = directory
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._kept: OrderedDict[tuple[int, int, int], tuple[float, bytes]] = OrderedDict()

    async def top(self, window: Window, size: int) -> bytes:
        """An encoded Scoreboard whose rows have no movement; at most KEPT_SECONDS old."""
        # Whoever is banned or erased is gone at once: that makes a new generation.
        key = window.id, size, self._directory.generation
        async with self._turns:
            kept = self._kept.get(key)
            if kept is not None and kept[0] > time.monotonic():
                return kept[1]
            body = await self._read(window, size)
        self._kept[key] = time.monotonic() + KEPT_SECONDS, body
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return body

    async def _read(self, window: Window, size: int) -> bytes:
        as_of = datetime.now(UTC)
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
