"""A read-through cache in this process: bounded, by version, one loader per key.

An entry answers for the version it was made from and no other, and for `seconds` at most. `invalidate()` also discards
loads in flight: a caller that comes after it starts a load of its own.

    hit      held, of the version that was asked for
    joined   another caller is loading it already
    stale    held, of an older version, or for too long
    miss     not held
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from .. import telemetry
from .bounded_dict import BoundedDict
from .single_flight import SingleFlight

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
Loaded = tuple[Hashable, V]


@dataclass(frozen=True, slots=True)
class _CacheEntry(Generic[V]):
    version: Hashable
    value: V
    until: float


class ReadThrough(Generic[K, V]):
    """`name` labels the metric; at most `limit` entries, the longest unwritten go first.

    Not thread-safe: it belongs to one event loop.
    """

    def __init__(self, name: str, *, seconds: float, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._entries: BoundedDict[K, _CacheEntry[V]] = BoundedDict(limit)
        self._loads: SingleFlight[tuple[K, Hashable], V] = SingleFlight()
        self._generation = 0
        self._hit, self._joined, self._stale, self._miss = (
            telemetry.CACHE.labels(name, outcome) for outcome in ("hit", "joined", "stale", "miss")
        )
        self._invalidated = telemetry.CACHE_INVALIDATED.labels(name)

    def __len__(self) -> int:
        return len(self._entries)

    async def get(self, key: K, version: Hashable, load: Callable[[], Awaitable[Loaded[V]]]) -> V:
        """Return the value of this version or a newer one.

        `load` returns the version it found and the value; its error is raised to all who wait for it. A caller that is
        cancelled does not cancel the load for the others.
        """
        entry = self._entries.get(key)
        if entry is not None and entry.version == version and self._clock() < entry.until:
            self._hit.inc()
            return entry.value
        if self._loads.is_running((key, version)):
            self._joined.inc()
        else:
            (self._miss if entry is None else self._stale).inc()
        return await self._loads.run((key, version), lambda: self._load(key, load, self._generation))

    def invalidate(self) -> None:
        """Drop everything, also what is being loaded now."""
        self._generation += 1
        self._invalidated.inc(len(self._entries))
        self._entries.clear()
        self._loads.forget()

    async def _load(self, key: K, load: Callable[[], Awaitable[Loaded[V]]], generation: int) -> V:
        version, value = await load()
        if generation == self._generation:
            self._entries.put(key, _CacheEntry(version, value, self._clock() + self._seconds))
        return value
