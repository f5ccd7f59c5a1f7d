"""Count what users hold on each node, within one limit over all nodes. The counts of a node end with its lease."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import NamedTuple

from .store import Client, RedisStore

AT_ONCE = 100
"""Users in one call: some 2 ms of a busy Redis, in which other calls wait."""
LEASE_SECONDS = 5.0
"""A node that does not renew for so long holds nothing any more."""
KEPT_SECONDS = 900.0
"""A count that is not renewed for so long is dropped; `live/user_sockets.py` renews it three times as often."""

_SCRIPT = (resources.files(__package__) / "leases.lua").read_text()


class SocketLease(NamedTuple):
    """The number of connections of a user that a node may keep, and that other nodes hold."""

    kept: int
    others: int


@dataclass(frozen=True, slots=True)
class SocketLeases:
    """The counts of `node`; `name` distinguishes what is counted."""

    store: RedisStore
    name: str
    node: str

    async def renew(self, limit: int, held: Mapping[int, int]) -> tuple[bool, dict[int, SocketLease]]:
        """Report what this node holds per user, and renew its lease.

        Return whether the lease had not expired (else all counts are gone and must be reported again), and the user's
        leases. Raises RedisUnavailable.
        """
        users, leases, lived = list(held), dict[int, SocketLease](), True
        for start in range(0, max(1, len(users)), AT_ONCE):
            some = users[start : start + AT_ONCE]
            reply = await self._renew(limit, some, [held[user] for user in some])
            lived = lived and (bool(reply[0]) or start > 0)
            leases.update(zip(some, map(SocketLease, reply[1::2], reply[2::2]), strict=True))
        return lived, leases

    async def _renew(self, limit: int, users: list[int], counts: list[int]) -> list[int]:
        keys = [self.store.key(self.name, "nodes"), *(self.store.key(self.name, user) for user in users)]
        lease, kept = int(LEASE_SECONDS * 1000), int(KEPT_SECONDS * 1000)

        async def work(client: Client) -> list[int]:
            arguments: list[str | int] = [self.node, lease, kept, limit, *counts]
            answer: list[int] = await client.register_script(_SCRIPT)(keys=keys, args=arguments)
            return answer

        return await self.store.call(work)
