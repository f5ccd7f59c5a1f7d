"""Every private or undocumented name of aiohttp's server that is used here. No other module uses one.

`tests/web/test_aiohttp_private.py` names each and fails first when an upgrade removes it; pyproject.toml bounds
aiohttp to the minor version that was tested.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, cast

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_request import BaseRequest

CONNECTION_NAMES = (
    "_current_request",
    "_message_tail",
    "_request_count",
    "_resume_transport_reading",
    "finish_response",
    "force_close",
    "handle_error",
)
"""Attributes of `web.RequestHandler` that are read, set or overridden."""
RESPONSE_NAMES = ("_keep_alive", "_payload_writer", "prepared")
"""Attributes of `web.StreamResponse`."""
REQUEST_NAMES = ("protocol", "transport", "writer")
"""Attributes of `BaseRequest`."""
SERVER_NAMES = ("_kwargs", "request_factory", "request_handler")
"""Attributes of `web.Server`; its runner makes it in `_make_server`."""


class ReplySender(Protocol):
    """A connection that takes whole replies."""

    def send(self, reply: bytes) -> None:
        """Send the reply with those of other connections."""

    def flush(self) -> None:
        """Send now what waits."""


class ServerRunner(web.AppRunner):
    """An AppRunner that lets a subclass make the server, and with it the connections."""

    def make_server(self, handler: Any, request_factory: Any, options: Mapping[str, Any]) -> web.Server:
        """Return the server for aiohttp's request handler; `options` are those of its connections."""
        raise NotImplementedError

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return self.make_server(made.request_handler, made.request_factory, made._kwargs)  # noqa: SLF001


class DirectResponse(web.StreamResponse):
    """A response that leaves as one piece of bytes, past aiohttp's writer."""

    def serialize(self, request: BaseRequest) -> bytes:
        """Return head and body as they are sent."""
        raise NotImplementedError

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        """Send everything. aiohttp then calls `write_eof`, which has nothing left to do."""
        if self.prepared:
            return None
        if self._keep_alive is None:
            self._keep_alive = request.keep_alive
        writer = self._payload_writer = request.writer
        await writer.drain()  # a client that sends requests and reads no replies must not fill memory
        reply = self.serialize(request)
        writer.output_size += len(reply)
        connection = cast("ReplySender", request.protocol)
        connection.send(reply)
        if not self._keep_alive:
            connection.flush()  # the connection is closed next
        return writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Do nothing: `prepare` has sent everything."""


def has_received_request(connection: web.RequestHandler) -> bool:
    """Return whether the head of a request has arrived on this connection."""
    return connection._request_count > 0  # noqa: SLF001


def unparsed_bytes(connection: web.RequestHandler) -> bytes:
    """Return what arrived behind an upgrade request."""
    return connection._message_tail  # noqa: SLF001


def set_waiting_request(connection: web.RequestHandler, request: BaseRequest | None) -> None:
    """Name the request whose reading ends with an error when the client disconnects."""
    connection._current_request = request  # noqa: SLF001


def resume_reading(connection: web.RequestHandler) -> None:
    """Read on where aiohttp paused the transport because a body was not read."""
    connection._resume_transport_reading()  # noqa: SLF001


def reply_has_begun(request: BaseRequest) -> bool:
    """Return whether bytes of a reply to this request were sent."""
    return request.writer.output_size > 0


async def send_continue(request: BaseRequest) -> None:
    """Send `100 Continue`, which is not part of the reply and must not count as its beginning."""
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0
