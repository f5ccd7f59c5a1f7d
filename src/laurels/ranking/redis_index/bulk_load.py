"""Load all standings of a window into a copy in Redis, which takes live changes meanwhile."""

from __future__ import annotations

import asyncio
import time

import structlog

from ... import telemetry
from ...ledger.db.pool import Pool
from ...ledger.standings import standings
from ..projection_types import OnProgress
from .windows import BULK_MEMBERS, IndexGeneration, RedisWindows

log = structlog.get_logger(__name__)

LOG_SECONDS = 5.0


async def bulk_load(pool: Pool, windows: RedisWindows, generation: IndexGeneration, progress: OnProgress) -> int:
    """Load a window and return its number of standings. Raises RedisUnavailable, IndexGone.

    Redis takes one page while the next is read.
    """
    total, done = await standings.count(pool, generation.window), 0
    logged_at = _log(generation, done, total)
    loading: asyncio.Task[None] | None = None
    try:
        async for packed in standings.packed(pool, generation.window, BULK_MEMBERS):
            if loading is not None:
                await loading
            loading = asyncio.create_task(windows.bulk_load(generation, packed), name="index-fill")
            await asyncio.sleep(0)  # let it send before the next page is read
            done += len(packed) // standings.PACKED
            telemetry.INDEX_BUILT.labels(generation.window.board.slug).set(done / max(done, total))
            progress(done, total)
            if time.monotonic() > logged_at + LOG_SECONDS:
                logged_at = _log(generation, done, total)
        if loading is not None:
            await loading
    finally:
        if loading is not None:
            loading.cancel()
    telemetry.INDEX_BUILT.labels(generation.window.board.slug).set(1)
    return done


def _log(generation: IndexGeneration, done: int, total: int) -> float:
    log.info("building the index", board=generation.window.board.slug, done=done, standings=total)
    return time.monotonic()
