"""Limits that hold over all nodes, without a request ever waiting for Redis.

Each node decides by what it knows. Ten times a second it adds what it granted to what Redis holds, and learns what
each of those keys owes altogether (ADR 17). So in the first tenth of a second a burst that is spread over n nodes
may be granted up to n times; what was too much is owed, and nothing more is granted before it is paid back.

While Redis is away, each process limits by itself, and says so.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from ... import telemetry
from ...concurrency.periodic import run_periodically
from ...redis_store import RedisStore, RedisUnavailable
from ...redis_store.rate_limits import sync_rate_limits
from .known_addresses import KnownAddresses
from .rate_limit import RateLimit

SYNC_SECONDS = 0.1


class RateLimitSync:
    """Run `run()` in a task."""

    def __init__(self, store: RedisStore, limits: Sequence[RateLimit], known: KnownAddresses | None = None) -> None:
        self._store = store
        self._known = known
        self._limits = limits
        self._away = False
        for limit in limits:
            limit.track_pending()

    def degraded_reasons(self) -> list[str]:
        return ["limits: counted by each process alone"] if self._away else []

    async def run(self) -> None:
        """Share until cancelled."""
        await run_periodically(SYNC_SECONDS, self._sync_if_possible)

    async def _sync_if_possible(self) -> None:
        try:
            await self.sync()
        except RedisUnavailable:
            self._away = True
        else:
            self._away = False
        telemetry.LIMITS_SHARED.set(not self._away)

    async def sync(self) -> None:
        """Once. Raises RedisAway; what could not be told then is forgotten."""
        for limit in self._limits:
            taken = limit.take_pending()
            if taken:
                limit.merge(await sync_rate_limits(self._store, limit.policy, taken), time.monotonic())
        if self._known is not None:
            await self._known.share()
