"""The recent actions that a node remembers, for detectors that compare several.

All values are immutable and replaced, so a batch works on an overlay that costs nothing and is dropped with its
transaction: `ActivityHistory.batch()` returns it, `commit()` merges it after COMMIT. Memory is bounded, and the values
that were not replaced for longest go first. A node remembers the actions that came through it, which behind a balancer
are a share of all: so nothing but a suspicion may depend on them.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Mapping
from typing import Generic, TypeVar

import msgspec
from msgspec.structs import replace

GAPS = 12
"""How many gaps between the latest actions of one user are kept."""
USERS = 50_000
ADDRESSES = 20_000
MINUTE = 60_000_000
_GAP = struct.Struct("=q")
_ALL_GAPS = struct.Struct(f"={GAPS}q")


class UserActivity(msgspec.Struct, frozen=True, gc=False):
    """One user's actions of all types. Instants in microseconds.

    at          when the last one came; None: none yet
    packed      the gaps before it, oldest first, at most GAPS. Packed as bytes: on a node with thousands of users,
                reading a dozen numbers that are scattered in memory takes longer than all detectors
    minute      the calendar minute of the last one
    count       actions in `minute`
    suspect_at  when one of them was last held
    """

    at: int | None = None
    packed: bytes = b""
    minute: int = -1
    count: int = 0
    suspect_at: int | None = None

    @property
    def known(self) -> int:
        """Return how many `gaps` there are."""
        return len(self.packed) // _GAP.size

    @property
    def gaps(self) -> tuple[int, ...]:
        form = _ALL_GAPS if len(self.packed) == _ALL_GAPS.size else struct.Struct(f"={self.known}q")
        return form.unpack(self.packed)

    def with_action(self, at: int) -> UserActivity:
        """Return the activity after one more action."""
        minute = at // MINUTE
        count = 1 + (self.count if minute == self.minute else 0)
        packed = b"" if self.at is None else (self.packed + _GAP.pack(at - self.at))[-_ALL_GAPS.size :]
        return UserActivity(at, packed, minute, count, self.suspect_at)


class TypeActivity(msgspec.Struct, frozen=True, gc=False):
    """One user's actions of one type.

    same    consecutive actions with the metadata of the last one
    points  their worth in `minute`
    """

    metadata: str | None = None
    same: int = 0
    minute: int = -1
    points: int = 0

    def with_action(self, at: int, metadata: str | None, earned: int) -> TypeActivity:
        """Return the activity after one more action."""
        minute = at // MINUTE
        same = self.same + 1 if metadata == self.metadata else 1
        return TypeActivity(metadata, same, minute, earned + (self.points if minute == self.minute else 0))


class AddressActivity(msgspec.Struct, frozen=True, gc=False):
    """The number of actions from one address in one minute."""

    minute: int = -1
    count: int = 0

    def with_action(self, at: int) -> AddressActivity:
        minute = at // MINUTE
        return AddressActivity(minute, 1 + (self.count if minute == self.minute else 0))


class ActivityHistory:
    """Activity of at most `users` users, four times as many pairs of user and type, and `addresses` addresses."""

    def __init__(self, *, users: int = USERS, addresses: int = ADDRESSES) -> None:
        self.users = RecentValues[int, UserActivity](users)
        self.types = RecentValues[tuple[int, int], TypeActivity](4 * users)
        self.addresses = RecentValues[str, AddressActivity](addresses)

    def __len__(self) -> int:
        return len(self.users) + len(self.types) + len(self.addresses)

    def batch(self) -> BatchHistory:
        return BatchHistory(self)

    def commit(self, history: BatchHistory) -> None:
        """Merge the actions of a committed batch."""
        self.users.update(history.users)
        self.types.update(history.types)
        self.addresses.update(history.addresses)


class BatchHistory:
    """The history as one batch sees it, with the batch's own actions on top. O(1) each."""

    def __init__(self, known: ActivityHistory) -> None:
        self._known = known
        self.users: dict[int, UserActivity] = {}
        self.types: dict[tuple[int, int], TypeActivity] = {}
        self.addresses: dict[str, AddressActivity] = {}

    def record_user(self, user_id: int, at: int) -> UserActivity:
        before = self.users.get(user_id) or self._known.users.get(user_id) or UserActivity()
        after = self.users[user_id] = before.with_action(at)
        return after

    def record_type(self, user_id: int, type_id: int, at: int, metadata: str | None, earned: int) -> TypeActivity:
        key = (user_id, type_id)
        before = self.types.get(key) or self._known.types.get(key) or TypeActivity()
        after = self.types[key] = before.with_action(at, metadata, earned)
        return after

    def record_address(self, address: str, at: int) -> AddressActivity:
        before = self.addresses.get(address) or self._known.addresses.get(address) or AddressActivity()
        after = self.addresses[address] = before.with_action(at)
        return after

    def mark_suspect(self, user_id: int, at: int) -> None:
        """Note that this user's last action is held."""
        self.users[user_id] = replace(self.users[user_id], suspect_at=at)


K = TypeVar("K")
V = TypeVar("V")


class RecentValues(Generic[K, V]):
    """At most `limit` values; those that were not replaced for longest go first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # Not a BoundedDict: the domain imports no other package.
        self._values: OrderedDict[K, V] = OrderedDict()
        self.get = self._values.get

    def __len__(self) -> int:
        return len(self._values)

    def items(self) -> dict[K, V]:
        return dict(self._values)

    def update(self, fresh: Mapping[K, V]) -> None:
        for key, value in fresh.items():
            self._values[key] = value
            self._values.move_to_end(key)
        while len(self._values) > self._limit:
            self._values.popitem(last=False)
