"""How a live connection begins: who may open one, and how the transport leaves the HTTP server."""

from __future__ import annotations

import asyncio
import base64
import binascii
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_request import BaseRequest

from .. import telemetry
from ..domain.errors import Code, LaurelsError
from ..live import protocol
from .call import Call


class Handed(web.StreamResponse):
    """What a handler answers who has taken the transport over: there is nothing left to send."""

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:  # noqa: ARG002  aiohttp's signature
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing."""


def take_transport(call: Call) -> tuple[asyncio.Transport, bytes]:
    """The transport, and what came ahead of what the server understood; the seat is taken.

    Raises LaurelsError(TOO_MANY_SOCKETS).
    """
    seats = call.services.hub.seats
    try:
        seats.take(call.address)
    except LaurelsError:
        telemetry.HANDSHAKES.labels("refused").inc()
        raise
    telemetry.HANDSHAKES.labels("accepted").inc()
    try:
        handed: tuple[asyncio.Transport, bytes] = call.request.protocol.hand_over()  # type: ignore[attr-defined]
    except ConnectionResetError:
        seats.release(call.address)
        raise
    return handed


def websocket_key(call: Call) -> str:
    """The key of a handshake as RFC 6455 has it. Raises LaurelsError(UPGRADE_REQUIRED)."""
    if (call.header(hdrs.UPGRADE) or "").lower() != "websocket":
        raise LaurelsError(Code.UPGRADE_REQUIRED, "This path speaks WebSocket only.")
    options = {option.strip().lower() for option in (call.header(hdrs.CONNECTION) or "").split(",")}
    key = call.header(hdrs.SEC_WEBSOCKET_KEY) or ""
    if "upgrade" not in options or call.header(hdrs.SEC_WEBSOCKET_VERSION) != "13" or not _is_key(key):
        raise LaurelsError(
            Code.UPGRADE_REQUIRED, "This is no WebSocket handshake: Connection, version 13 or key is missing."
        )
    return key


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key.encode(), validate=True)) == 16
    except (binascii.Error, UnicodeEncodeError):
        return False


def offered_protocols(call: Call) -> list[str]:
    """Subprotocols. Raises LaurelsError(UPGRADE_REQUIRED) when ours is not among those offered."""
    lines = call.request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, [])
    offered = [name.strip() for line in lines for name in line.split(",")]
    if offered and protocol.SUBPROTOCOL not in offered:
        raise LaurelsError(Code.UPGRADE_REQUIRED, f"This path speaks {protocol.SUBPROTOCOL}.")
    return offered


def check_origin(call: Call) -> None:
    if not origin_allowed(call):
        raise bad_origin()


def origin_allowed(call: Call) -> bool:
    """Whether the page may speak for a user: none (no browser), the node's own, or one the operator listed."""
    origin = call.header(hdrs.ORIGIN)
    if origin is None:
        return True
    return urlsplit(origin).netloc == call.header(hdrs.HOST) or call.services.options.origins.allow(origin)


def bad_origin() -> LaurelsError:
    return LaurelsError(
        Code.ORIGIN_NOT_ALLOWED, "Pages of this origin may not authenticate here. The operator can list it."
    )
