"""Share one call among concurrent callers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SingleFlight(Generic[K, V]):
    """Shares calls by key. Not thread-safe: it belongs to one event loop.

    A call is a task of its own: a caller that is cancelled does not cancel it for the others. Its error is raised to
    all who share it.
    """

    def __init__(self) -> None:
        self._running: dict[K, asyncio.Future[V]] = {}
        self._pending: dict[K, asyncio.Future[V]] = {}
        """Calls that have not begun: they wait for the running one, or for their first turn of the loop."""

    def is_running(self, key: K) -> bool:
        """Return whether `run` would join a call."""
        return key in self._running

    async def run(self, key: K, call: Callable[[], Awaitable[V]]) -> V:
        """Return the result of the call in flight, or of `call` when there is none."""
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = self._start(key, call())
        return await asyncio.shield(task)

    async def run_fresh(self, key: K, call: Callable[[], Awaitable[V]]) -> V:
        """Return the result of a call that begins after this one was requested.

        Callers that arrive during a call share the next one, so no caller gets data older than its request. At most one
        call per key runs, however many wait; each caller waits for two calls at most.
        """
        task = self._pending.get(key)
        if task is None:
            task = self._pending[key] = self._start(key, self._call_next(key, call, self._running.get(key)))
        return await asyncio.shield(task)

    def forget(self) -> None:
        """Let no later caller of `run` join the calls in flight; who has joined still gets their results."""
        self._running.clear()

    async def close(self) -> None:
        """Cancel the calls that have not begun, and wait for the running ones."""
        for task in self._pending.values():
            task.cancel()
        tasks = {*self._pending.values(), *self._running.values()}
        if tasks:
            await asyncio.wait(tasks)

    def _start(self, key: K, work: Awaitable[V]) -> asyncio.Future[V]:
        task = asyncio.ensure_future(work)
        task.add_done_callback(lambda done: self._finish(key, done))
        return task

    async def _call_next(self, key: K, call: Callable[[], Awaitable[V]], previous: asyncio.Future[V] | None) -> V:
        if previous is not None:
            await asyncio.wait({previous})
        self._running[key] = self._pending.pop(key)
        return await call()

    def _finish(self, key: K, task: asyncio.Future[V]) -> None:
        for tasks in (self._running, self._pending):
            if tasks.get(key) is task:
                del tasks[key]
        if not task.cancelled():
            task.exception()  # all callers may have gone: an error is not reported as never retrieved
