"""Taking a transport over from the HTTP server, to speak another protocol on it."""

from __future__ import annotations

import asyncio
from typing import cast

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_request import BaseRequest

from .connection import HttpConnection


class UpgradedResponse(web.StreamResponse):
    """The answer of a handler that has taken the transport over: nothing is left to send."""

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:  # noqa: ARG002  aiohttp's signature
        """Send nothing."""
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Send nothing."""


def take_over_transport(request: web.Request) -> tuple[asyncio.Transport, bytes]:
    """Detach the transport of a request from the HTTP server, and return it with the bytes that arrived ahead.

    The handler answers with UpgradedResponse. Raises ConnectionResetError when the client has gone.
    """
    return cast("HttpConnection", request.protocol).detach_transport()
