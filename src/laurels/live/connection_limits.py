"""Limits of live connections per node, address and user, counted before the handshake.

Counting before the handshake keeps concurrent handshakes from passing a limit together. What users hold on other nodes
is learned after it (`user_sockets.py`).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from ..domain.errors import Code, LaurelsError

RETRY_SECONDS = 5
ELSEWHERE = 100_000
"""Users whose connections on other nodes are remembered. Beyond, all are forgotten and learned again."""


class ConnectionLimits:
    """`limit` connections in all. Refuses every one once `closed`."""

    def __init__(self, *, limit: int, per_address: int, per_user: int) -> None:
        self._limit = limit
        self._per_address = per_address
        self.per_user = per_user
        self._addresses: Counter[str] = Counter()
        self._users: Counter[int] = Counter()
        self._elsewhere: dict[int, int] = {}
        self._changed: set[int] | None = None
        self.acquired = 0
        self.closed = False

    def acquire(self, address: str) -> None:
        """Take one of the node's and the address's connections. Raises LaurelsError(TOO_MANY_SOCKETS)."""
        if self.closed:
            raise _too_many("This node is stopping. Try again: another takes over.")
        if self.acquired >= self._limit:
            raise _too_many("This node holds all the sockets it may. Try again.")
        held = self._addresses.get(address, 0)
        if held >= self._per_address:
            raise _too_many(f"One address may hold {self._per_address} sockets. Close one first.")
        self._addresses[address] = held + 1
        self.acquired += 1

    def release(self, address: str) -> None:
        """Give back what `acquire` took."""
        self.acquired -= 1
        _decrement(self._addresses, address)

    def acquire_user(self, user_id: int) -> None:
        """Take one of a user's connections, over all addresses and nodes. Raises LaurelsError(TOO_MANY_SOCKETS)."""
        self._note_change(user_id)  # also when refused: the next try then knows what other nodes hold
        if self._users[user_id] + self._elsewhere.get(user_id, 0) >= self.per_user:
            raise _too_many(f"One user may hold {self.per_user} sockets. Close one first.")
        self._users[user_id] += 1

    def holds(self, user_id: int) -> bool:
        """Return whether a user has a connection on this node."""
        return user_id in self._users

    def release_user(self, user_id: int) -> None:
        """Give back what `acquire_user` took."""
        _decrement(self._users, user_id)
        self._note_change(user_id)

    def track_changes(self) -> None:
        """Note from now on whose count changes, for the other nodes."""
        self._changed = set()

    def changed(self) -> dict[int, int]:
        """Return the count of each user who acquired, released or was refused since the last call."""
        users, self._changed = self._changed or set(), set()
        return {user_id: self._users[user_id] for user_id in users}

    def counts(self) -> dict[int, int]:
        """Return the count of each user who holds connections here or elsewhere."""
        return dict.fromkeys(self._elsewhere, 0) | dict(self._users)

    def set_elsewhere(self, user_id: int, elsewhere: int) -> None:
        """Set how many connections of a user other nodes hold."""
        if not elsewhere:
            self._elsewhere.pop(user_id, None)
            return
        if len(self._elsewhere) >= ELSEWHERE:
            self._elsewhere.clear()
        self._elsewhere[user_id] = elsewhere

    def forget_elsewhere(self) -> None:
        """Count the connections of this node alone."""
        self._elsewhere.clear()

    def _note_change(self, user_id: int) -> None:
        if self._changed is not None:
            self._changed.add(user_id)


def _decrement(counter: Counter[Any], key: Any) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]


def _too_many(detail: str) -> LaurelsError:
    return LaurelsError(Code.TOO_MANY_SOCKETS, detail, retry_after=RETRY_SECONDS)
