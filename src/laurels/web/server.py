"""Beneath the application: what never reaches a route is refused as a problem too.

aiohttp answers what is no HTTP, and targets that are no path, by itself: in plain text, and the
former with a traceback in the log for each. Two methods of its connections can change that.
"""

from __future__ import annotations

import asyncio
import secrets
import weakref
from typing import Any

import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from ..domain.errors import Code, LaurelsError
from .edge import refusal_reply, response_to
from .shortcuts import Shortcuts

log = structlog.get_logger(__name__)

HEAD_SECONDS = 5.0
"""How long the head of a connection's first request may take; a WebSocket handshake is nothing else."""
LINGER_SECONDS = 2.0
"""How long the rest of a refused body is read and dropped, so that its sender gets to read the refusal."""


class Runner(web.AppRunner):
    """An AppRunner whose connections speak problem+json to the end."""

    def __init__(self, app: web.Application, shortcuts: Shortcuts, **options: Any) -> None:
        super().__init__(app, lingering_time=LINGER_SECONDS, **options)
        self._shortcuts = shortcuts

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        options = made._kwargs  # noqa: SLF001  what the runner was given: it has no other name
        handler = _shortened(made.request_handler, self._shortcuts)
        return _Server(handler, request_factory=made.request_factory, **options)


def _shortened(resolve: Any, shortcuts: Shortcuts) -> Any:
    async def handle(request: Any) -> web.StreamResponse:
        found = shortcuts.find(request)
        if found is None:
            response: web.StreamResponse = await resolve(request)
            return response
        endpoint, in_path = found
        return await endpoint(request, in_path)

    return handle


class _Server(web.Server):
    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Connection(RequestHandler):
    __slots__ = ("__weakref__",)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        asyncio.get_running_loop().call_later(HEAD_SECONDS, _cut_the_silent, weakref.ref(self))

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


def _cut_the_silent(connection: weakref.ref[_Connection]) -> None:
    """Whoever has connected asks within HEAD_SECONDS, all of it: thousands who don't would fill the table."""
    silent = connection()
    if silent is not None and not silent._request_count and silent.transport is not None:  # noqa: SLF001
        silent.force_close()


def _problem(refusal: LaurelsError) -> web.StreamResponse:
    request_id = secrets.token_hex(8)
    return response_to(refusal_reply(refusal, request_id), {"X-Request-ID": request_id})
