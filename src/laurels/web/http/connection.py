"""One HTTP connection: aiohttp's, whose replies leave together with those of other connections.

Malformed HTTP and targets that are not a path are refused as problem+json too; aiohttp answers those in plain text and
logs a traceback for each.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from typing import Any

import structlog
from aiohttp import hdrs, web

from ...domain.errors import Code, LaurelsError
from .aiohttp_private import (
    has_received_request,
    reply_has_begun,
    resume_reading,
    set_waiting_request,
    unparsed_bytes,
)
from .problems import refusal_reply
from .request_ids import new_request_id
from .responses import response_to

log = structlog.get_logger(__name__)

HEAD_SECONDS = 5.0
"""How long the head of a connection's first request may take, and with it a WebSocket handshake."""
LINGER_SECONDS, LINGER_BYTES = 2.0, 2 * 1024 * 1024
"""How long, and how many bytes of, an unread body are read and dropped: twice the largest that any route takes."""
_LAST_CHUNK = b"0\r\n\r\n"
MAX_COALESCED = 32
"""Replies that leave together at most: the first of them waits for the last."""


class WriteCoalescer:
    """Sends the replies of one turn of the loop together, one right after the other.

    Written one by one, as they become ready, replies cost more: reading a board takes 32 µs instead of 28 (ADR 21).
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._connections: list[HttpConnection] = []

    def add(self, connection: HttpConnection) -> None:
        """Have `connection` flushed at the end of this turn, or now when MAX_COALESCED wait."""
        if not self._connections:
            self._loop.call_soon(self.flush_all)
        self._connections.append(connection)
        if len(self._connections) >= MAX_COALESCED:
            self.flush_all()

    def flush_all(self) -> None:
        """Flush every connection that was added."""
        connections, self._connections = self._connections, []
        for connection in connections:
            connection.flush()


class HttpConnection(web.RequestHandler):
    """`send` takes whole replies. Code that writes to the transport itself calls `flush` before."""

    __slots__ = ("__weakref__", "_coalescer", "_drop_ends", "_undropped", "_unsent")

    def __init__(self, manager: web.Server, coalescer: WriteCoalescer, **options: Any) -> None:
        super().__init__(manager, **options)
        self._coalescer = coalescer
        self._unsent = b""
        self._drop_ends: asyncio.Future[None] | None = None
        self._undropped = LINGER_BYTES

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock of the first request."""
        super().connection_made(transport)
        asyncio.get_running_loop().call_later(HEAD_SECONDS, _close_silent, weakref.ref(self))

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, or drop it while an unread body is being dropped."""
        if self._drop_ends is None:
            super().data_received(data)
            return
        self._undropped -= len(data)
        if self._undropped <= 0 or data.endswith(_LAST_CHUNK):
            self._end_drop()

    def connection_lost(self, exc: BaseException | None) -> None:
        """End the connection, and with it the dropping of a body."""
        super().connection_lost(exc)
        self._end_drop()

    def _end_drop(self) -> None:
        if self._drop_ends is not None and not self._drop_ends.done():
            self._drop_ends.set_result(None)

    def send(self, reply: bytes) -> None:
        """Send the reply at the end of this turn of the loop, with those of other connections."""
        self._unsent += reply
        self._coalescer.add(self)

    def flush(self) -> None:
        """Send now what waits for the end of this turn."""
        unsent, self._unsent = self._unsent, b""
        if unsent and self.transport is not None and not self.transport.is_closing():
            self.transport.write(unsent)

    def force_close(self) -> None:
        """Send what waits, then close."""
        self.flush()
        super().force_close()

    def detach_transport(self) -> tuple[asyncio.Transport, bytes]:
        """Give the transport away to speak another protocol on it; return it with the bytes that arrived ahead.

        Nothing of the HTTP connection is left on it, so a live socket has no task and no buffers of its own.
        Raises ConnectionResetError.
        """
        transport, tail = self.transport, unparsed_bytes(self)
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has gone")
        self.transport = None  # `connection_lost` would close it
        self.connection_lost(None)
        return transport, tail

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002  the caller's signature
    ) -> web.StreamResponse:
        """Return the last response of a connection: after malformed HTTP the next request can't be found."""
        if reply_has_begun(request) or isinstance(exc, ConnectionError):
            raise ConnectionResetError("too late for an answer")
        request_id = new_request_id()
        refusal = LaurelsError(Code.MALFORMED_REQUEST, "The request is not valid HTTP, or a line of it is too long.")
        if status >= 500:
            log.error("unexpected failure", request_id=request_id, exc_info=exc)
            refusal = LaurelsError(Code.INTERNAL, "The server failed. Quote the request id.")
        response = _problem(refusal, request_id)
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the reply, then drop what is left of a body that was not read, or close."""
        if isinstance(resp, web.HTTPException):  # the target is not a path: every path has a route
            refusal = LaurelsError(Code.NOT_FOUND, "There is nothing at this path: a target starts with a slash.")
            resp = _problem(refusal, new_request_id())
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
        """Drop what arrives as `_discard_body` does, but without parsing it; the connection ends after that.

        Parsing takes a microsecond or more for each chunk, however small.
        """
        self._drop_ends = asyncio.get_running_loop().create_future()
        resume_reading(self)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                await self._drop_ends

    async def _discard_body(self, request: web.BaseRequest) -> None:
        """Read and drop at most LINGER_BYTES of a body within LINGER_SECONDS, so that the client can read the reply.

        Closing a connection with unread bytes resets it, and a reply on its way is lost. When more of the body is
        left, the connection ends.
        """
        left = LINGER_BYTES
        set_waiting_request(self, request)
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while left > 0 and self.transport is not None and not request.content.is_eof():
                    left -= len(await request.content.readany())
        except (OSError, web.RequestPayloadError):  # TimeoutError is an OSError
            pass  # aiohttp closes when the body has not ended
        finally:
            set_waiting_request(self, None)


def _may_follow(request: web.BaseRequest) -> bool:
    """Return whether another request may follow an unread body: its end is known and near, and it is sent at all."""
    if _is_chunked(request) or hdrs.UPGRADE in request.headers:  # behind an upgrade, aiohttp parses no more requests
        return False
    return (request.content_length or 0) <= LINGER_BYTES and hdrs.EXPECT not in request.headers


def _is_chunked(request: web.BaseRequest) -> bool:
    return hdrs.TRANSFER_ENCODING in request.headers


def _close_silent(connection: weakref.ref[HttpConnection]) -> None:
    """Close a connection that has sent no whole request head within HEAD_SECONDS: thousands would use up the files."""
    silent = connection()
    if silent is not None and not has_received_request(silent) and silent.transport is not None:
        silent.force_close()


def _problem(refusal: LaurelsError, request_id: str) -> web.StreamResponse:
    return response_to(refusal_reply(refusal, request_id), {"X-Request-ID": request_id})
