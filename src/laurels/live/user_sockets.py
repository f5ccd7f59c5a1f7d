"""The limit of sockets per user over all nodes, kept behind the handshake.

A handshake is decided by what this node knows. Ten times a second the node tells Redis how many sockets each user whose
count changed holds here, and learns how many others hold. Two nodes that accepted too many at once find out then: the
one that tells later closes its newest. A node that dies holds nothing after its lease. While Redis is away each node
counts by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ..concurrency.periodic import run_periodically
from ..redis_store import RedisUnavailable
from ..redis_store.leases import KEPT_SECONDS, LEASE_SECONDS, SocketLeases
from .connection_limits import ConnectionLimits

SHARE_SECONDS = 0.1
RENEW_SECONDS = LEASE_SECONDS / 5
RESYNC_SECONDS = KEPT_SECONDS / 3


class SharedUserSockets:
    """Run `run()` in a task. `keep_oldest` closes the newer sockets of a user and leaves so many."""

    def __init__(
        self, claims: SocketLeases, connection_limits: ConnectionLimits, keep_oldest: Callable[[int, int], None]
    ) -> None:
        self._claims = claims
        self._seats = connection_limits
        self._keep_oldest = keep_oldest
        self._renew_at = 0.0
        self._resync_at = 0.0
        connection_limits.share()

    async def run(self) -> None:
        """Share until cancelled."""
        await run_periodically(SHARE_SECONDS, self._share_if_possible)

    async def _share_if_possible(self) -> None:
        try:
            await self.share()
        except RedisUnavailable:
            self._seats.forget_elsewhere()
            self._resync_at = 0.0

    async def share(self) -> None:
        """Share once. Raises RedisUnavailable."""
        now = asyncio.get_running_loop().time()
        changed = self._seats.changed()
        if now >= self._resync_at:
            changed = self._seats.counts()
            self._resync_at = now + RESYNC_SECONDS
        elif not changed and now < self._renew_at:
            return
        lived, claims = await self._claims.renew(self._seats.per_user, changed)
        self._renew_at = now + RENEW_SECONDS
        if not lived:
            self._resync_at = 0.0
        for user_id, claim in claims.items():
            self._seats.learn(user_id, claim.others)
            if claim.kept < changed[user_id]:
                self._keep_oldest(user_id, claim.kept)
