"""Limits that hold over all nodes, without a request ever waiting for Redis.

Each node decides by what it knows. Ten times a second it adds what it granted to what Redis holds, and learns what
each of those keys owes altogether (ADR 21). So in the first tenth of a second a burst that is spread over n nodes
may be granted up to n times; what was too much is owed, and nothing more is granted before it is paid back.

While Redis is away, each process limits by itself, and says so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from .. import telemetry
from ..shared import RedisAway, Store
from ..shared.owed import owe
from .known_addresses import KnownAddresses
from .limits import RateLimit

SHARE_SECONDS = 0.1


class SharedLimits:
    """Run `run()` in a task."""

    def __init__(self, store: Store, limits: Sequence[RateLimit], known: KnownAddresses | None = None) -> None:
        self._store = store
        self._known = known
        self._limits = limits
        self._away = False
        for limit in limits:
            limit.share()

    def lacks(self) -> list[str]:
        return ["limits: counted by each process alone"] if self._away else []

    async def run(self) -> None:
        """Share until cancelled."""
        while True:
            await asyncio.sleep(SHARE_SECONDS)
            try:
                await self.share()
            except RedisAway:
                self._away = True
            else:
                self._away = False
            telemetry.LIMITS_SHARED.set(not self._away)

    async def share(self) -> None:
        """Once. Raises RedisAway; what could not be told then is forgotten."""
        for limit in self._limits:
            taken = limit.unshared()
            if taken:
                limit.learn(await owe(self._store, limit.policy, taken), time.monotonic())
        if self._known is not None:
            await self._known.share()
