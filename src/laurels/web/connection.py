"""One HTTP connection: aiohttp's, with three things of our own.

A request begins as soon as its bytes are read. aiohttp wakes a task for them, which makes another one for the request:
two turns of the loop and some 5 µs before anything is looked at, where answering from memory takes 10. Here the
request takes its first step at once, in the name of the connection's task (`asyncio.timeout`, and whatever else asks
for the current task, finds it). Most reads are answered by then. What has to wait goes on in that task: the order of
answers, deadlines and stopping are as they were.

The replies of one turn of the loop leave together (`Departures`).

What is no HTTP, and targets that are no path, are refused as a problem too: aiohttp answers those in plain text, with a
traceback in the log for each.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import types
import weakref
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Coroutine, Generator
from typing import Any, TypeAlias

import structlog
from aiohttp import web
from aiohttp.http_writer import StreamWriter
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import ERROR, RequestHandler, _ErrInfo

from ..domain.errors import Code, LaurelsError
from .edge import refusal_reply, response_to

log = structlog.get_logger(__name__)

HEAD_SECONDS = 5.0
"""How long the head of a connection's first request may take; a WebSocket handshake is nothing else."""

TOGETHER = 32
"""Replies that leave together at most: the first of them waits for the last."""

Answering: TypeAlias = Coroutine[Any, Any, tuple[web.StreamResponse, bool]]
"""Ends with the response, sent, and whether the connection broke meanwhile."""


class Departures:
    """Connections with a reply to send: all of one turn of the loop at once.

    A write that wakes its reader costs 12 µs where the processor that slept is another one, and 5 when it is awake
    already: replies written one by one, as they become ready, wake it for each.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._connections: list[HttpConnection] = []

    def add(self, connection: HttpConnection) -> None:
        if not self._connections:
            self._loop.call_soon(self.leave)
        self._connections.append(connection)
        if len(self._connections) >= TOGETHER:
            self.leave()

    def leave(self) -> None:
        connections, self._connections = self._connections, []
        for connection in connections:
            connection.flush()


class HttpConnection(RequestHandler):
    """What is private to RequestHandler is read and set throughout: look here when aiohttp changes."""

    __slots__ = ("__weakref__", "_begun", "_departures", "_unsent")

    def __init__(self, manager: web.Server, departures: Departures, **options: Any) -> None:
        super().__init__(manager, **options)
        self._departures = departures
        self._unsent = b""
        self._begun: tuple[web.BaseRequest, Answering, Any] | None = None
        """A request that has to wait: its coroutine, and what that awaits. The task goes on with it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._loop.call_later(HEAD_SECONDS, _cut_the_silent, weakref.ref(self))

    def data_received(self, data: bytes) -> None:
        idle = self._waiter
        if idle is None or idle.done():  # somebody is being answered: what comes waits for its turn
            super().data_received(data)
            return
        self._waiter = None
        super().data_received(data)
        if self._messages and not self._answered_at_once():
            idle.set_result(None)
        else:
            self._waiter = idle

    def _answered_at_once(self) -> bool:
        """Let the first of the messages take its first step. False: there is something left for the task to do."""
        message, payload = self._messages[0]
        task = self._task_handler
        if isinstance(message, _ErrInfo) or not payload.is_eof() or self._unsent or self._paused or task is None:
            return False
        request, answering, _ = self._next()
        _enter_task(self._loop, task)
        try:
            awaited = answering.send(None)
        except StopIteration as end:
            return self._ended(request, *end.value) and not self._messages
        except Exception as failure:  # noqa: BLE001  told, and the connection ends
            self._failed(failure)
            return False
        finally:
            _leave_task(self._loop, task)
        self._begun = request, answering, awaited
        return False

    async def start(self) -> None:
        """The connection's task: does what could not be done at once, and waits for more."""
        try:
            while self._begun is not None or self._goes_on():
                if self._begun is None and not self._messages:
                    await self._arrival()
                else:
                    await self._serve()
        except Exception as failure:  # noqa: BLE001  told, and the connection ends
            self._failed(failure)
        except BaseException:
            self.force_close()
            raise
        self.flush()
        if self.transport is not None:
            self.transport.close()

    async def _arrival(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    async def _serve(self) -> None:
        """Go on with what has begun, or answer the first of the messages."""
        if self._begun is not None:
            (request, answering, awaited), self._begun = self._begun, None
            response, broken = await _rest(answering, awaited)
        else:
            self.flush()
            await self._drain_helper()  # who asks on and reads nothing fills no memory
            request, answering, payload = self._next()
            response, broken = await answering
            if not payload.is_eof() and not broken:
                await self._linger(payload)
        self._ended(request, response, broken)

    def _next(self) -> tuple[web.BaseRequest, Answering, StreamReader]:
        """The first of the messages, as a request and the coroutine that answers it."""
        message, payload = self._messages.popleft()
        manager, factory = self._manager, self._request_factory
        handler, task = self._request_handler, self._task_handler
        if manager is None or factory is None or handler is None or task is None:
            raise ConnectionResetError("gone")
        if isinstance(message, _ErrInfo):
            handler, message = self._make_error_handler(message), ERROR
        if self._parser is not None:
            self._parser.message_consumed()
        if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
            self._resume_reading_if_drained()
        manager.requests_count += 1
        request = factory(message, payload, self, StreamWriter(self, self._loop), task)
        return request, self._handle_request(request, None, handler), payload

    async def _linger(self, payload: StreamReader) -> None:
        """Read and drop the rest of a refused body, so that its sender gets to read the refusal."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._lingering_time):
                while not payload.is_eof() and not self._force_close:
                    await payload.readany()
        if not payload.is_eof():
            self._close = True

    def _ended(self, request: web.BaseRequest, response: web.StreamResponse, broken: bool) -> bool:
        """A request was answered. Whether the connection goes on."""
        request._task = None  # type: ignore[assignment]  # noqa: SLF001  else the two hold each other until the collector comes
        self._keepalive = not broken and bool(response.keep_alive)
        if not self._goes_on():
            return False
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(self._next_keepalive_close_time, self._process_keepalive)
        return True

    def _goes_on(self) -> bool:
        return self._keepalive and not self._close and not self._force_close

    def _failed(self, failure: Exception) -> None:
        """Who hung up is nobody's failure."""
        if not isinstance(failure, ConnectionError):
            log.error("unforeseen failure of a connection", exc_info=failure)
        self.force_close()

    def send(self, reply: bytes) -> None:
        """With the replies of other connections, this turn of the loop."""
        self._unsent += reply
        self._departures.add(self)

    def flush(self) -> None:
        """Send now what is to leave this turn."""
        unsent, self._unsent = self._unsent, b""
        if unsent and self.transport is not None:
            self.transport.write(unsent)

    def force_close(self) -> None:
        self.flush()
        super().force_close()

    def hand_over(self) -> tuple[asyncio.Transport, bytes]:
        """The transport, for whoever speaks another protocol on it from here on, and what came ahead of that.

        Nothing of ours is left on it, so a live socket weighs what it needs and has no task. The handler
        that asked answers with `Handed`.
        """
        transport, tail = self.transport, self._message_tail
        if transport is None or transport.is_closing():
            raise ConnectionResetError("gone")
        self.transport = None  # else it would be closed
        self.connection_lost(None)
        return transport, tail

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002  the caller's signature
    ) -> web.StreamResponse:
        """The last words on a connection: what follows on it can't be told from what was broken."""
        if request.writer.output_size or isinstance(exc, ConnectionError):
            raise ConnectionResetError("nobody can be told")
        refusal = LaurelsError(Code.MALFORMED_REQUEST, "This is no HTTP as RFC 9112 has it, or a line is too long.")
        if status >= 500:
            log.error("unforeseen failure", exc_info=exc)
            refusal = LaurelsError(Code.INTERNAL, "This is our fault.")
        response = _problem(refusal)
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Routes answer every path: an exception of aiohttp means that no route was asked."""
        if isinstance(resp, web.HTTPException):
            resp = _problem(LaurelsError(Code.NOT_FOUND, "Nothing lives here: a target starts with a slash."))
        return await super().finish_response(request, resp, start_time)


@types.coroutine
def _rest(answering: Answering, awaited: Any) -> Generator[Any, Any, tuple[web.StreamResponse, bool]]:
    """What is left of a coroutine that has taken its first step, for somebody else to await."""
    while True:
        step, argument = answering.send, None
        try:
            yield awaited
        except BaseException as thrown:  # noqa: BLE001  handed on
            step, argument = answering.throw, thrown
        try:
            awaited = step(argument)
        except StopIteration as end:
            ended: tuple[web.StreamResponse, bool] = end.value
            return ended


def _cut_the_silent(connection: weakref.ref[HttpConnection]) -> None:
    """Whoever has connected asks within HEAD_SECONDS, all of it: thousands who don't would fill the table."""
    silent = connection()
    if silent is not None and not silent._request_count and silent.transport is not None:  # noqa: SLF001
        silent.force_close()


def _problem(refusal: LaurelsError) -> web.StreamResponse:
    request_id = secrets.token_hex(8)
    return response_to(refusal_reply(refusal, request_id), {"X-Request-ID": request_id})
