"""One question serves all who were waiting when it was asked.

Nobody is answered with what was asked before they came: who comes while a question is under way shares the next one. So
at most one per key is under way, however many wait, and each waits for two at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SingleFlight(Generic[K, V]):
    """Not thread-safe: it belongs to one event loop."""

    def __init__(self) -> None:
        self._under_way: dict[K, asyncio.Task[V]] = {}
        self._next: dict[K, asyncio.Task[V]] = {}

    async def run(self, key: K, ask: Callable[[], Awaitable[V]]) -> V:
        """What `ask` answers, asked after this call; it raises through to all who share it.

        Who goes away takes nothing from the others.
        """
        round_ = self._next.get(key)
        if round_ is None:
            before = self._under_way.get(key)
            round_ = asyncio.create_task(self._round(key, ask, before), name="round")
            round_.add_done_callback(_heard)
            (self._under_way if before is None else self._next)[key] = round_
        return await asyncio.shield(round_)

    async def _round(self, key: K, ask: Callable[[], Awaitable[V]], before: asyncio.Task[V] | None) -> V:
        if before is not None:
            await asyncio.wait({before})
            self._under_way[key] = self._next.pop(key)
        try:
            return await ask()
        finally:
            del self._under_way[key]


def _heard(round_: asyncio.Task[V]) -> None:
    """Nobody may be left to hear of a failure."""
    if not round_.cancelled():
        round_.exception()
