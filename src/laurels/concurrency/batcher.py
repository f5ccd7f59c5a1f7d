"""Send the requests of many callers in one call, as DataLoader does.

A round trip costs more than all else that a small read does, and a busy process has dozens at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Q = TypeVar("Q", bound=Hashable)
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class _Pending(Generic[Q, A]):
    request: Q
    result: asyncio.Future[A]
    deadline: float


@dataclass(slots=True)
class Batcher(Generic[Q, A]):
    """Sends what was requested during one call with the next. Not thread-safe: it belongs to one event loop.

    `call` gets different requests, `size` at most, and the seconds that are left to the oldest of them; it returns one
    result or error per request. An error that it raises itself fails all callers, also those that wait for the next
    call: they would only find the same. `refusal` makes the error of a caller beyond `limit` waiting ones; `abandoned`
    makes the callers' error when `call` ends with any other error.
    """

    call: Callable[[Sequence[Q], float], Awaitable[Sequence[A | Exception]]]
    size: int
    limit: int
    seconds: float
    failures: tuple[type[Exception], ...]
    refusal: Callable[[], Exception]
    abandoned: Callable[[BaseException], Exception]
    _waiting: deque[_Pending[Q, A]] = field(default_factory=deque)
    _sender: asyncio.Task[None] | None = None
    """Ends by itself when no caller waits any longer."""

    async def request(self, request: Q) -> A:
        """Return the result of a call that began after this one was requested; equal requests share it."""
        if len(self._waiting) >= self.limit:
            raise self.refusal()
        loop = asyncio.get_running_loop()
        pending: _Pending[Q, A] = _Pending(request, loop.create_future(), loop.time() + self.seconds)
        self._waiting.append(pending)
        if self._sender is None:
            self._sender = asyncio.create_task(self._send_all(), name="batcher")
        return await pending.result

    async def _send_all(self) -> None:
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(self.size, len(self._waiting)))]
                await self._send(batch)
        finally:
            self._sender = None

    async def _send(self, batch: list[_Pending[Q, A]]) -> None:
        requests = list({pending.request: None for pending in batch})
        left = min(pending.deadline for pending in batch) - asyncio.get_running_loop().time()
        try:
            results = await self.call(requests, left)
        except self.failures as error:
            self._fail_all(batch, error)
            return
        except BaseException as error:  # the task is cancelled, or a mistake: no caller may be left waiting
            self._fail_all(batch, self.abandoned(error))
            raise
        by_request = dict(zip(requests, results, strict=True))
        for pending in batch:
            _resolve(pending.result, by_request[pending.request])

    def _fail_all(self, batch: list[_Pending[Q, A]], error: Exception) -> None:
        for pending in (*batch, *self._waiting):
            _resolve(pending.result, error)
        self._waiting.clear()


def _resolve(future: asyncio.Future[A], result: A | Exception) -> None:
    if future.done():  # its caller was cancelled
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
