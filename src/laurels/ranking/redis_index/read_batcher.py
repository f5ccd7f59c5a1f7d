"""Reads of the index in Redis that are requested during one call leave together with the next.

A round trip costs this process more than everything else that a read does, and a busy node has dozens at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...concurrency.batcher import Batcher
from ...redis_store import RedisStore, RedisUnavailable
from ...redis_store.store import CALL_SECONDS
from .scripts import Run, run_all

READS_PER_CALL = 64
"""Reads in one round trip: some 2 ms of Redis' time."""
MAX_WAITING = 1_000
_LEAST_SECONDS = 0.1
"""A call that is given less would fail although Redis is well."""


def read_batcher(store: RedisStore) -> Batcher[Run, Any]:
    """Return a batcher of scripts that write nothing. Its callers get RedisUnavailable or IndexGone.

    No caller waits longer than a call to Redis may take.
    """

    async def call(runs: Sequence[Run], seconds: float) -> Sequence[Any]:
        return await store.call(
            lambda redis: run_all(redis, runs), seconds=max(seconds, _LEAST_SECONDS), idempotent=True
        )

    return Batcher(
        call,
        size=READS_PER_CALL,
        limit=MAX_WAITING,
        seconds=CALL_SECONDS,
        failures=(RedisUnavailable,),
        refusal=lambda: RedisUnavailable("too many reads wait for Redis"),
        abandoned=lambda error: RedisUnavailable(f"the read was abandoned: {error!r}"),
    )
