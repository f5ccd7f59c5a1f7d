"""Bound how many callers use a resource at once, and how many wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Bulkhead:
    """An async context manager that lets `at_once` callers in. Not thread-safe: it belongs to one event loop.

    `admitted` callers at most are inside or wait their turn, first come, first served; `refusal` makes the error that
    the next caller gets at once.
    """

    __slots__ = ("_refusal", "_turns", "admitted", "in_use")

    def __init__(self, at_once: int, *, admitted: int, refusal: Callable[[], Exception]) -> None:
        self._turns = asyncio.Semaphore(at_once)
        self.admitted = admitted
        self._refusal = refusal
        self.in_use = 0
        """Callers inside or waiting."""

    async def __aenter__(self) -> None:
        if self.in_use >= self.admitted:
            raise self._refusal()
        self.in_use += 1
        try:
            await self._turns.acquire()
        except BaseException:
            self.in_use -= 1
            raise

    async def __aexit__(self, *_: object) -> None:
        self.in_use -= 1
        self._turns.release()
