"""Limits over all nodes, without a request ever waiting for Redis.

Each node decides by its own state. Ten times a second it adds what it granted to the totals in Redis and adopts them
(ADR 17). So in the first tenth of a second a burst that is spread over n nodes may be granted up to n times; nothing
more is granted until the excess has been regained. While Redis is unavailable, each process limits by itself and
reports it.
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
    """Synchronises rate limits, and known addresses with them. Run `run()` in a task."""

    def __init__(self, store: RedisStore, limits: Sequence[RateLimit], known: KnownAddresses | None = None) -> None:
        self._store = store
        self._known = known
        self._limits = limits
        self._unavailable = False
        for limit in limits:
            limit.track_pending()

    def degraded_reasons(self) -> list[str]:
        """Return what the node does without, as sentences for `/readyz`."""
        return ["limits: counted by each process alone"] if self._unavailable else []

    async def run(self) -> None:
        """Synchronise until cancelled."""
        await run_periodically(SYNC_SECONDS, self._sync_if_possible)

    async def _sync_if_possible(self) -> None:
        try:
            await self.sync()
        except RedisUnavailable:
            self._unavailable = True
        else:
            self._unavailable = False
        telemetry.LIMITS_SHARED.set(not self._unavailable)

    async def sync(self) -> None:
        """Synchronise once. Raises RedisUnavailable; grants that were not sent then are dropped."""
        for limit in self._limits:
            taken = limit.take_pending()
            if taken:
                limit.merge(await sync_rate_limits(self._store, limit.policy, taken), time.monotonic())
        if self._known is not None:
            await self._known.share()
