"""All standings of a window into a copy in Redis that takes live changes meanwhile."""

from __future__ import annotations

import asyncio
import time

import structlog

from ... import telemetry
from ...ledger.db.pool import Pool
from ...ledger.standings import standings
from ..projection import Progress
from .windows import BULK_MEMBERS, IndexGeneration, RedisWindows

log = structlog.get_logger(__name__)

SAY_SECONDS = 5.0


async def bulk_load(pool: Pool, windows: RedisWindows, generation: IndexGeneration, progress: Progress) -> int:
    """How many there were. While Redis takes some, the next are read. Raises RedisAway, IndexGone."""
    total, done = await standings.count(pool, generation.window), 0
    said = _say(generation, done, total)
    under_way: asyncio.Task[None] | None = None
    try:
        async for packed in standings.packed(pool, generation.window, BULK_MEMBERS):
            if under_way is not None:
                await under_way
            under_way = asyncio.create_task(windows.bulk_load(generation, packed), name="index-fill")
            await asyncio.sleep(0)  # it is sent before the next are read
            done += len(packed) // standings.PACKED
            telemetry.INDEX_BUILT.labels(generation.window.board.slug).set(done / max(done, total))
            progress(done, total)
            if time.monotonic() > said + SAY_SECONDS:
                said = _say(generation, done, total)
        if under_way is not None:
            await under_way
    finally:
        if under_way is not None:
            under_way.cancel()
    telemetry.INDEX_BUILT.labels(generation.window.board.slug).set(1)
    return done


def _say(generation: IndexGeneration, done: int, total: int) -> float:
    log.info("building the index", board=generation.window.board.slug, done=done, standings=total)
    return time.monotonic()
