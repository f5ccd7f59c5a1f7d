"""How many sockets a node, an address and a user may hold, counted before the handshake.

So that handshakes at the same time can't pass a limit together.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from ..domain.errors import Code, LaurelsError

RETRY_SECONDS = 5


class Seats:
    """`limit` in all. Refuses everybody once `closed`."""

    def __init__(self, *, limit: int, per_address: int, per_user: int) -> None:
        self._limit = limit
        self._per_address = per_address
        self._per_user = per_user
        self._addresses: Counter[str] = Counter()
        self._users: Counter[int] = Counter()
        self.taken = 0
        self.closed = False

    def take(self, address: str) -> None:
        """Raises LaurelsError(TOO_MANY_SOCKETS)."""
        if self.closed:
            raise _too_many("This node is stopping. Try again: another takes over.")
        if self.taken >= self._limit:
            raise _too_many("This node holds all the sockets it may. Try again.")
        if self._addresses[address] >= self._per_address:
            raise _too_many(f"One address may hold {self._per_address} sockets. Close one first.")
        self.taken += 1
        self._addresses[address] += 1

    def release(self, address: str) -> None:
        self.taken -= 1
        _less(self._addresses, address)

    def take_user(self, user_id: int) -> None:
        """One of the sockets that a user may hold, over all addresses. Raises LaurelsError(TOO_MANY_SOCKETS)."""
        if self._users[user_id] >= self._per_user:
            raise _too_many(f"One user may hold {self._per_user} sockets. Close one first.")
        self._users[user_id] += 1

    def holds(self, user_id: int) -> bool:
        """Whether a user has a socket on this node."""
        return user_id in self._users

    def release_user(self, user_id: int) -> None:
        _less(self._users, user_id)


def _less(counter: Counter[Any], key: Any) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]


def _too_many(detail: str) -> LaurelsError:
    return LaurelsError(Code.TOO_MANY_SOCKETS, detail, retry_after=RETRY_SECONDS)
