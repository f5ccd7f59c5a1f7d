"""The limit of live connections per user over all nodes, enforced after the handshake.

A handshake is decided by what this node knows. Ten times a second the node reports to Redis how many connections each
user whose count changed holds here, and learns how many other nodes hold. When two nodes accepted too many at the same
time, the one that reports later closes its newest. A node that dies holds nothing after its lease. While Redis is
unavailable each node counts by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ..concurrency.periodic import run_periodically
from ..redis_store import RedisUnavailable
from ..redis_store.leases import KEPT_SECONDS, LEASE_SECONDS, SocketLeases
from .connection_limits import ConnectionLimits

SYNC_SECONDS = 0.1
RENEW_SECONDS = LEASE_SECONDS / 5
RESYNC_SECONDS = KEPT_SECONDS / 3


class SharedUserSockets:
    """Run `run()` in a task. `keep_oldest` closes all but so many connections of a user, the newest first."""

    def __init__(
        self, leases: SocketLeases, connection_limits: ConnectionLimits, keep_oldest: Callable[[int, int], None]
    ) -> None:
        self._leases = leases
        self._limits = connection_limits
        self._keep_oldest = keep_oldest
        self._renew_at = 0.0
        self._resync_at = 0.0
        connection_limits.track_changes()

    async def run(self) -> None:
        """Synchronise with the other nodes until cancelled."""
        await run_periodically(SYNC_SECONDS, self._sync_if_possible)

    async def _sync_if_possible(self) -> None:
        try:
            await self.sync()
        except RedisUnavailable:
            self._limits.forget_elsewhere()
            self._resync_at = 0.0

    async def sync(self) -> None:
        """Synchronise once. Raises RedisUnavailable."""
        now = asyncio.get_running_loop().time()
        changed = self._limits.changed()
        if now >= self._resync_at:
            changed = self._limits.counts()
            self._resync_at = now + RESYNC_SECONDS
        elif not changed and now < self._renew_at:
            return
        lived, leases = await self._leases.renew(self._limits.per_user, changed)
        self._renew_at = now + RENEW_SECONDS
        if not lived:
            self._resync_at = 0.0
        for user_id, lease in leases.items():
            self._limits.set_elsewhere(user_id, lease.others)
            if lease.kept < changed[user_id]:
                self._keep_oldest(user_id, lease.kept)
