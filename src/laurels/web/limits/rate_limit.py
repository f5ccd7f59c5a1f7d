"""Request rates by the generic cell rate algorithm (GCRA, ITU-T I.371): one timestamp per key.

A key may burst up to its whole allowance of a minute and regains it evenly. Unlike a fixed window it can't be doubled
across a boundary; unlike a log of hits it costs one float per key.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from ...concurrency.bounded_dict import BoundedDict

MINUTE = 60.0
MAX_PENDING = 20_000
"""Keys recorded between two synchronisations; grants of further keys count on this node only."""


Key: TypeAlias = str | int | bytes


class Allowance(msgspec.Struct, frozen=True, gc=False):
    """The state of a key after a request. `reset` and `retry_after` are in seconds."""

    limit: int
    remaining: int
    reset: float
    retry_after: float | None

    @property
    def refused(self) -> bool:
        """Whether the request exceeds the limit."""
        return self.retry_after is not None

    def headers(self, policy: str) -> dict[str, str]:
        """Return the RateLimit header fields (IETF httpapi draft)."""
        return {
            "RateLimit-Policy": f'"{policy}";q={self.limit};w=60',
            "RateLimit": f'"{policy}";r={self.remaining};t={math.ceil(self.reset)}',
        }


class RateLimit:
    """Grants at most `per_minute` a key. Holds the `keys` most recent keys; a key that was evicted starts full.

    `_tat` is the theoretical arrival time of GCRA: when the key's whole allowance is regained.
    """

    def __init__(self, policy: str, per_minute: int, *, keys: int = 100_000) -> None:
        self.policy = policy
        self._limit = per_minute
        self._step = MINUTE / per_minute
        self._tat: BoundedDict[Key, float] = BoundedDict(keys)
        self._pending: dict[Key, float] | None = None

    def set_rate(self, per_minute: int) -> None:
        """Change the rate. A key keeps the share of its allowance that it has left."""
        if per_minute != self._limit:
            self._limit, self._step = per_minute, MINUTE / per_minute

    def hit(self, key: Key, now: float, cost: int = 1) -> Allowance:
        """Take `cost`, which counts as `per_minute` at most, and return what is left. O(1)."""
        tat = max(self._tat.get(key, 0.0), now)
        after = tat + min(cost, self._limit) * self._step
        if after - now > MINUTE + 1e-6:
            return Allowance(self._limit, self._left(tat, now), tat - now, after - now - MINUTE)
        self._tat.put(key, after)
        if self._pending is not None and (key in self._pending or len(self._pending) < MAX_PENDING):
            self._pending[key] = self._pending.get(key, 0.0) + after - tat
        return Allowance(self._limit, self._left(after, now), after - now, None)

    def track_pending(self) -> None:
        """Record from now on what is granted, for the other nodes."""
        self._pending = {}

    def take_pending(self) -> dict[Key, float]:
        """Return the seconds of allowance granted since the last call, by key."""
        taken, self._pending = self._pending or {}, {}
        return taken

    def merge(self, used: Mapping[Key, float], now: float) -> None:
        """Adopt what keys have used over all nodes, in seconds until they are full again.

        It is more than a minute when several nodes granted a burst at once.
        """
        pending = self._pending or {}
        for key, seconds in used.items():
            self._tat.put(key, max(now + seconds + pending.get(key, 0.0), self._tat.get(key, 0.0)))

    def is_spent(self, key: Key, now: float) -> bool:
        """Return whether a hit would be refused now."""
        return max(self._tat.get(key, 0.0), now) + self._step - now > MINUTE + 1e-6

    def refund(self, key: Key, cost: int = 1) -> None:
        """Undo one hit of this cost."""
        seconds = min(cost, self._limit) * self._step
        if key in self._tat:
            self._tat[key] -= seconds
            if self._pending is not None:
                self._pending[key] = self._pending.get(key, 0.0) - seconds

    def _left(self, tat: float, now: float) -> int:
        return max(0, int((MINUTE - (tat - now)) / self._step + 1e-6))
