"""The client for code without an event loop: Flask, Django, Celery, scripts, threads.

The asynchronous client runs on an event loop in a thread of its own; callers of any thread wait for it there, so they
share its connections. Threads do not survive fork(): each process starts a thread when it first needs one, so a
client created before gunicorn, uWSGI or Celery forks works in every worker.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Self, TypeVar

import aiohttp

from .address import checked_url
from .asynchronous import TIMEOUT, Laurels, Token
from .batch import Batch
from .messages import Action, Board, Page, Place, Ranks, Receipt, Result, Ticket, User, new_identifier
from .outcome import Unsettled

SLACK_SECONDS = 1.0
"""A call's own deadline comes first; the caller stops waiting for an unresponsive thread this many seconds later."""
CLOSE_SECONDS = 5.0

_T = TypeVar("_T")


class BlockingLaurels:
    """Laurels without an event loop; see Laurels for arguments and methods.

    Use it with `with`, or call `close()` at the end. Safe for many threads at once and across fork().
    """

    def __init__(self, url: str, token: Token | None = None, *, deadline: float = 30.0) -> None:
        self._url = checked_url(url)
        self._provider = token
        self._deadline = deadline
        self._closed = False
        self._lock = threading.Lock()
        self._thread: _LoopThread | None = None
        _clients.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections and end the thread. May be called twice; another process's thread is left alone."""
        with self._lock:
            self._closed = True
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.stop()

    def start(self, action_type: str, *, deadline: float | None = None) -> Ticket:
        return self._wait(lambda laurels: laurels.start(action_type, deadline=deadline), deadline)

    def complete(
        self,
        action_type: str,
        identifier: str | None = None,
        *,
        metadata: dict[str, Any] | None = None,
        completed_at: datetime | None = None,
        user: User | None = None,
        ticket: str | None = None,
        deadline: float | None = None,
    ) -> Receipt:
        identifier = identifier or new_identifier()
        return self._wait(
            lambda laurels: laurels.complete(
                action_type,
                identifier,
                metadata=metadata,
                completed_at=completed_at,
                user=user,
                ticket=ticket,
                deadline=deadline,
            ),
            deadline,
            identifier,
        )

    def batch(self, actions: Iterable[Action], *, deadline: float | None = None) -> list[Result]:
        batch = Batch(actions)
        results: list[Result] = []
        try:
            self._wait(lambda laurels: laurels.send_batch(batch, results, deadline), deadline)
        except Unsettled as failure:
            if not failure.identifiers:  # the thread did not answer: its results so far are here
                done = list(results)
                failure.identifiers = [action.action_identifier for action in batch.actions[len(done) :]]
                failure.of_batch(done, batch.actions[len(done) :])
            raise
        return results

    def receipt(self, identifier: str) -> Receipt:
        return self._wait(lambda laurels: laurels.receipt(identifier))

    def top(self, board: str | None = None, limit: int = 10) -> Board:
        return self._wait(lambda laurels: laurels.top(board, limit))

    def around(self, board: str, username: str, radius: int = 5) -> Board:
        return self._wait(lambda laurels: laurels.around(board, username, radius))

    def rank(self, board: str, username: str) -> Place:
        return self._wait(lambda laurels: laurels.rank(board, username))

    def rows(
        self, board: str, from_rank: int = 1, limit: int = 50, *, cursor: str | None = None, window: int | None = None
    ) -> Page:
        return self._wait(lambda laurels: laurels.rows(board, from_rank, limit, cursor=cursor, window=window))

    def ranks(self, board: str, usernames: Sequence[str]) -> Ranks:
        return self._wait(lambda laurels: laurels.ranks(board, usernames))

    def _wait(self, call: Callable[[Laurels], Awaitable[_T]], deadline: float | None = None, *identifiers: str) -> _T:
        """Run a call on this process's thread. Raises Unsettled when it has no outcome in time."""
        seconds = self._deadline if deadline is None else deadline
        future = self._running().submit(call)
        try:
            return future.result(seconds + SLACK_SECONDS)
        except concurrent.futures.TimeoutError:
            if future.done():  # raised by the call itself
                raise
            future.cancel()
            raise Unsettled(list(identifiers), "the client's thread does not answer") from None

    def _running(self) -> _LoopThread:
        with self._lock:
            if self._closed:
                raise RuntimeError("this client is closed")
            if self._thread is None or self._thread.pid != os.getpid():
                self._leave_inherited()
                self._thread = _LoopThread(self._url, self._provider, self._deadline)
                weakref.finalize(self, self._thread.stop)  # also at exit, and for clients that were never closed
            return self._thread

    def _leave_inherited(self) -> None:
        """Keep the objects inherited from the parent process, and never touch them: both share one selector."""
        if self._thread is not None:
            self._thread.loop.set_exception_handler(lambda *_: None)
            _inherited.append(self._thread)
            self._thread = None

    def _after_fork(self) -> None:
        """Replace the lock in the child: one that another thread held at the fork would never be released."""
        self._lock = threading.Lock()
        self._leave_inherited()


class _LoopThread:
    """An event loop in a thread, with an open client on it. It belongs to the process `pid`."""

    def __init__(self, url: str, token: Token | None, deadline: float) -> None:
        self.pid = os.getpid()
        self.loop = asyncio.SelectorEventLoop()  # not the policy's: uvloop's does not outlive a fork, not even unused
        self._url = url
        self._token = token
        self._deadline = deadline
        self._session: aiohttp.ClientSession | None = None
        self._laurels: Laurels | None = None
        self._thread = threading.Thread(target=self.loop.run_forever, name="laurels-client", daemon=True)
        self._thread.start()

    def submit(self, call: Callable[[Laurels], Awaitable[_T]]) -> concurrent.futures.Future[_T]:
        return asyncio.run_coroutine_threadsafe(self._call(call), self.loop)

    def stop(self) -> None:
        """Close connections and end the thread, within CLOSE_SECONDS. Does nothing in a process that inherited it."""
        if self.pid != os.getpid() or self.loop.is_closed():
            return
        if threading.current_thread() is self._thread:  # the last reference to a client was dropped there
            self.loop.stop()
            return
        closing = asyncio.run_coroutine_threadsafe(self._close(), self.loop)
        with contextlib.suppress(concurrent.futures.TimeoutError):
            closing.result(CLOSE_SECONDS)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(CLOSE_SECONDS)
        if not self._thread.is_alive():
            self.loop.close()

    async def _call(self, call: Callable[[Laurels], Awaitable[_T]]) -> _T:
        if self._laurels is None:
            self._session = aiohttp.ClientSession(timeout=TIMEOUT, connector=_Connector())
            self._laurels = Laurels(self._url, self._token, deadline=self._deadline, session=self._session)
        return await call(self._laurels)

    async def _close(self) -> None:
        if self._session is not None:
            await self._session.close()


class _Connector(aiohttp.TCPConnector):
    """Connections that only the process that opened them closes, also when they are collected."""

    def __init__(self) -> None:
        super().__init__()
        self._pid = os.getpid()

    def __del__(self, *_: Any) -> None:
        if self._pid == os.getpid():
            super().__del__()


_clients: weakref.WeakSet[BlockingLaurels] = weakref.WeakSet()
_inherited: list[_LoopThread] = []
"""A loop that is never collected: its finalisers, and those of connections, would affect the other process."""


def _after_fork_in_child() -> None:
    for client in list(_clients):
        client._after_fork()  # noqa: SLF001  of this module


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork either
    os.register_at_fork(after_in_child=_after_fork_in_child)
