"""Request rates by the generic cell rate algorithm (GCRA, ITU-T I.371): one timestamp per key.

A key may burst up to its whole allowance of a minute and regains it evenly. Unlike a fixed window
it can't be doubled by straddling a boundary; unlike a log of hits it costs one float per key.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from ...concurrency.bounded_dict import BoundedDict

MINUTE = 60.0
MAX_PENDING = 20_000
"""Keys noted between two tellings; those beyond count on this node alone."""


Key: TypeAlias = str | int | bytes


class Allowance(msgspec.Struct, frozen=True, gc=False):
    """The state of a key after a request. `reset` and `retry_after` are in seconds."""

    limit: int
    remaining: int
    reset: float
    retry_after: float | None

    @property
    def refused(self) -> bool:
        return self.retry_after is not None

    def headers(self, policy: str) -> dict[str, str]:
        """RateLimit fields (IETF httpapi draft)."""
        return {
            "RateLimit-Policy": f'"{policy}";q={self.limit};w=60',
            "RateLimit": f'"{policy}";r={self.remaining};t={math.ceil(self.reset)}',
        }


class RateLimit:
    """At most `per_minute` a key. Holds the latest `keys` keys; one forgotten starts afresh."""

    def __init__(self, policy: str, per_minute: int, *, keys: int = 100_000) -> None:
        self.policy = policy
        self._limit = per_minute
        self._step = MINUTE / per_minute
        self._tat: BoundedDict[Key, float] = BoundedDict(keys)
        self._pending: dict[Key, float] | None = None

    def set_rate(self, per_minute: int) -> None:
        """From now on. Who is in the middle of a burst keeps what they have left, as a share."""
        if per_minute != self._limit:
            self._limit, self._step = per_minute, MINUTE / per_minute

    def hit(self, key: Key, now: float, cost: int = 1) -> Allowance:
        """Take `cost` (at most `per_minute` is ever granted at once). O(1)."""
        full_at = max(self._tat.get(key, 0.0), now)
        after = full_at + min(cost, self._limit) * self._step
        if after - now > MINUTE + 1e-6:
            return Allowance(self._limit, self._left(full_at, now), full_at - now, after - now - MINUTE)
        self._tat.put(key, after)
        if self._pending is not None and (key in self._pending or len(self._pending) < MAX_PENDING):
            self._pending[key] = self._pending.get(key, 0.0) + after - full_at
        return Allowance(self._limit, self._left(after, now), after - now, None)

    def track_pending(self) -> None:
        """From now on, note what is granted, for the other nodes."""
        self._pending = {}

    def take_pending(self) -> dict[Key, float]:
        """Seconds of allowance granted since the last call, by key."""
        taken, self._pending = self._pending or {}, {}
        return taken

    def merge(self, owed: Mapping[Key, float], now: float) -> None:
        """What keys owe over all nodes, in seconds. More than a burst when several nodes granted one at once."""
        unshared = self._pending or {}
        for key, seconds in owed.items():
            self._tat.put(key, max(now + seconds + unshared.get(key, 0.0), self._tat.get(key, 0.0)))

    def is_spent(self, key: Key, now: float) -> bool:
        """Whether a hit would be refused now."""
        return max(self._tat.get(key, 0.0), now) + self._step - now > MINUTE + 1e-6

    def refund(self, key: Key, cost: int = 1) -> None:
        """Undo one hit of this cost."""
        seconds = min(cost, self._limit) * self._step
        if key in self._tat:
            self._tat[key] -= seconds
            if self._pending is not None:
                self._pending[key] = self._pending.get(key, 0.0) - seconds

    def _left(self, full_at: float, now: float) -> int:
        return max(0, int((MINUTE - (full_at - now)) / self._step + 1e-6))
