"""Claims of users on several nodes, within one limit over all of them. Those of a node end with its lease."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import NamedTuple

from .store import Client, RedisStore

AT_ONCE = 100
"""Users in one call: some 2 ms of a busy Redis, which does nothing else meanwhile."""
LEASE_SECONDS = 5.0
"""A node that says nothing for so long holds nothing any more."""
KEPT_SECONDS = 900.0
"""A claim that is not renewed for so long ends; see `live/user_sockets.py` for how often it is."""

_SCRIPT = (resources.files(__package__) / "leases.lua").read_text()


class SocketLease(NamedTuple):
    """How many a node may keep, and how many other nodes hold."""

    kept: int
    others: int


@dataclass(frozen=True, slots=True)
class SocketLeases:
    """Claims of `node`; `name` says of what."""

    store: RedisStore
    name: str
    node: str

    async def renew(self, limit: int, held: Mapping[int, int]) -> tuple[bool, dict[int, SocketLease]]:
        """Tell what this node holds per user, and that it lives.

        Answer whether it was alive until now (else its claims are gone: tell them all again), and the claims.
        Raises RedisAway.
        """
        users, claims, lived = list(held), dict[int, SocketLease](), True
        for start in range(0, max(1, len(users)), AT_ONCE):
            some = users[start : start + AT_ONCE]
            reply = await self._renew(limit, some, [held[user] for user in some])
            lived = lived and (bool(reply[0]) or start > 0)
            claims.update(zip(some, map(SocketLease, reply[1::2], reply[2::2]), strict=True))
        return lived, claims

    async def _renew(self, limit: int, users: list[int], counts: list[int]) -> list[int]:
        keys = [self.store.key(self.name, "nodes"), *(self.store.key(self.name, user) for user in users)]
        lease, kept = int(LEASE_SECONDS * 1000), int(KEPT_SECONDS * 1000)

        async def work(client: Client) -> list[int]:
            arguments: list[str | int] = [self.node, lease, kept, limit, *counts]
            answer: list[int] = await client.register_script(_SCRIPT)(keys=keys, args=arguments)
            return answer

        return await self.store.call(work)
