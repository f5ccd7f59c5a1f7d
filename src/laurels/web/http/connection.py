"""One HTTP connection: aiohttp's, whose replies leave together with those of other connections.

What is no HTTP, and targets that are no path, are refused as a problem too: aiohttp answers those in plain text, with a
traceback in the log for each.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import weakref
from typing import Any

import structlog
from aiohttp import hdrs, web
from aiohttp.web_protocol import RequestHandler

from ...domain.errors import Code, LaurelsError
from .edge import refusal_reply, response_to

log = structlog.get_logger(__name__)

HEAD_SECONDS = 5.0
"""How long the head of a connection's first request may take; a WebSocket handshake is nothing else."""
LINGER_SECONDS, LINGER_BYTES = 2.0, 2 * 1024 * 1024
"""How long, and how many bytes of, an unread body are read and dropped: twice the largest that any route takes."""
_LAST_CHUNK = b"0\r\n\r\n"
MAX_COALESCED = 32
"""Replies that leave together at most: the first of them waits for the last."""


class WriteCoalescer:
    """Connections with a reply to send: all of one turn of the loop, one right after the other.

    Written one by one, as they become ready, reading a board takes the node 32 µs instead of 28 (ADR 21).
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._connections: list[HttpConnection] = []

    def add(self, connection: HttpConnection) -> None:
        if not self._connections:
            self._loop.call_soon(self.flush_all)
        self._connections.append(connection)
        if len(self._connections) >= MAX_COALESCED:
            self.flush_all()

    def flush_all(self) -> None:
        connections, self._connections = self._connections, []
        for connection in connections:
            connection.flush()


class HttpConnection(RequestHandler):
    """`send` is for whole replies; what writes to the transport itself, `flush`es before."""

    __slots__ = ("__weakref__", "_coalescer", "_drop_ends", "_undropped", "_unsent")

    def __init__(self, manager: web.Server, coalescer: WriteCoalescer, **options: Any) -> None:
        super().__init__(manager, **options)
        self._coalescer = coalescer
        self._unsent = b""
        self._drop_ends: asyncio.Future[None] | None = None
        self._undropped = LINGER_BYTES

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._loop.call_later(HEAD_SECONDS, _close_silent, weakref.ref(self))

    def data_received(self, data: bytes) -> None:
        if self._drop_ends is None:
            super().data_received(data)
            return
        self._undropped -= len(data)
        if self._undropped <= 0 or data.endswith(_LAST_CHUNK):
            self._end_drop()

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._end_drop()

    def _end_drop(self) -> None:
        if self._drop_ends is not None and not self._drop_ends.done():
            self._drop_ends.set_result(None)

    def send(self, reply: bytes) -> None:
        """With the replies of other connections, this turn of the loop."""
        self._unsent += reply
        self._coalescer.add(self)

    def flush(self) -> None:
        """Send now what is to leave this turn."""
        unsent, self._unsent = self._unsent, b""
        if unsent and self.transport is not None and not self.transport.is_closing():
            self.transport.write(unsent)

    def force_close(self) -> None:
        self.flush()
        super().force_close()

    def detach_transport(self) -> tuple[asyncio.Transport, bytes]:
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
        """Send the reply, then drop what is left of a body that nobody read, or close.

        Routes answer every path: an exception of aiohttp means that no route was asked.
        """
        if isinstance(resp, web.HTTPException):
            resp = _problem(LaurelsError(Code.NOT_FOUND, "Nothing lives here: a target starts with a slash."))
        if request.content.is_eof():
            return await super().finish_response(request, resp, start_time)
        if not _may_follow(request):
            resp.force_close()
        sent = await super().finish_response(request, resp, start_time)
        if _is_chunked(request):
            await self._drop_unparsed()
        else:
            await self._discard_body(request)
        return sent

    async def _drop_unparsed(self) -> None:
        """Drop what arrives as `_discard_body` does, but look at none of it; the connection ends with that.

        Parsing takes a microsecond or more for each chunk, however small.
        """
        self._drop_ends = self._loop.create_future()
        self._resume_transport_reading()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                await self._drop_ends

    async def _discard_body(self, request: web.BaseRequest) -> None:
        """Read and drop at most LINGER_BYTES of a body within LINGER_SECONDS, so that its sender reads the reply.

        A connection that is closed with bytes unread is reset, and a reply on its way is lost with it. What is left
        after that ends the connection.
        """
        left = LINGER_BYTES
        self._current_request = request  # if the client leaves, the wait ends
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while left > 0 and self.transport is not None and not request.content.is_eof():
                    left -= len(await request.content.readany())
        except (OSError, web.RequestPayloadError):  # TimeoutError is one
            pass  # aiohttp closes when the body has not ended
        finally:
            self._current_request = None


def _may_follow(request: web.BaseRequest) -> bool:
    """Whether another request may follow an unread body: its end is known and near, and it is sent at all."""
    if _is_chunked(request):
        return False
    return (request.content_length or 0) <= LINGER_BYTES and hdrs.EXPECT not in request.headers


def _is_chunked(request: web.BaseRequest) -> bool:
    return hdrs.TRANSFER_ENCODING in request.headers


def _close_silent(connection: weakref.ref[HttpConnection]) -> None:
    """Whoever has connected asks within HEAD_SECONDS, all of it: thousands who don't would fill the table."""
    silent = connection()
    if silent is not None and not silent._request_count and silent.transport is not None:  # noqa: SLF001
        silent.force_close()


def _problem(refusal: LaurelsError) -> web.StreamResponse:
    request_id = secrets.token_hex(8)
    return response_to(refusal_reply(refusal, request_id), {"X-Request-ID": request_id})
