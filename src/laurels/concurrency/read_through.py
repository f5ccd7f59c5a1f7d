"""A read-through cache in this process: bounded, by version, one loader per key.

An entry answers for the version it was made from and no other, and for `seconds` at most. Of many who miss at once
one loads, the others take its answer. What was forgotten while a loader was under way is not put back by it: who comes
after `forget` starts a loader of its own.

    hit      held, of the version that was asked for
    joined   another was loading it already
    stale    held, of an older version, or for too long
    miss     not held
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from .. import telemetry

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
Loaded = tuple[Hashable, V]


@dataclass(frozen=True, slots=True)
class _CacheEntry(Generic[V]):
    version: Hashable
    value: V
    until: float


class ReadThrough(Generic[K, V]):
    """`name` labels the metric; `limit` entries at most, the longest unchanged go first.

    Not thread-safe: it belongs to one event loop.
    """

    def __init__(self, name: str, *, seconds: float, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._limit = limit
        self._clock = clock
        self._held: OrderedDict[K, _CacheEntry[V]] = OrderedDict()
        self._loading: dict[tuple[K, Hashable], asyncio.Task[V]] = {}
        self._generation = 0
        self._hit, self._joined, self._stale, self._miss, self._forgotten = (
            telemetry.CACHE.labels(name, outcome) for outcome in ("hit", "joined", "stale", "miss", "forgotten")
        )

    def __len__(self) -> int:
        return len(self._held)

    async def get(self, key: K, version: Hashable, load: Callable[[], Awaitable[Loaded[V]]]) -> V:
        """The value of this version or a newer one. `load` answers what it found, and its version; it raises through.

        Who goes away while a loader runs takes nothing from the others who wait for it.
        """
        held = self._held.get(key)
        if held is not None and held.version == version and self._clock() < held.until:
            self._hit.inc()
            return held.value
        loading = self._loading.get((key, version))
        if loading is not None:
            self._joined.inc()
        else:
            (self._miss if held is None else self._stale).inc()
            loading = self._start(key, version, load)
        return await asyncio.shield(loading)

    def invalidate(self) -> None:
        """Drop everything, also what is being loaded now."""
        self._generation += 1
        self._forgotten.inc(len(self._held))
        self._held.clear()
        self._loading.clear()

    def _start(self, key: K, version: Hashable, load: Callable[[], Awaitable[Loaded[V]]]) -> asyncio.Task[V]:
        place, generation = (key, version), self._generation

        async def work() -> V:
            found, value = await load()
            if generation == self._generation:
                self._keep(key, _CacheEntry(found, value, self._clock() + self._seconds))
            return value

        def over(task: asyncio.Task[V]) -> None:
            if self._loading.get(place) is task:
                del self._loading[place]
            if not task.cancelled():
                task.exception()  # nobody may be left to hear it

        task = self._loading[place] = asyncio.create_task(work(), name="cache-loader")
        task.add_done_callback(over)
        return task

    def _keep(self, key: K, held: _CacheEntry[V]) -> None:
        self._held[key] = held
        self._held.move_to_end(key)
        while len(self._held) > self._limit:
            self._held.popitem(last=False)
