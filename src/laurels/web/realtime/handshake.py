"""The beginning of a live connection: which handshakes are accepted, and how the transport leaves the HTTP server."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

from ... import telemetry
from ...domain.errors import Code, LaurelsError
from ...live import protocol
from ...live.client_connection import ClientConnection
from ...live.hub import Hub
from ..http.aiohttp_types import hdrs
from ..http.origins import Origins, is_origin
from ..http.takeover import take_over_transport
from ..pipeline.call import Call


def hand_over(hub: Hub, call: Call, connection: ClientConnection, start: Callable[[bytes], None]) -> None:
    """Move the request's transport from HTTP to `connection`, then `start` it with the bytes that came ahead.

    This is the only place that acquires a place of the connection limits. Every failure from here on releases it and
    closes the transport, so everything that the client sent must be validated before.
    Raises LaurelsError(TOO_MANY_SOCKETS), ConnectionResetError.
    """
    transport = call.request.transport
    try:
        hub.add(connection)
    except LaurelsError:
        telemetry.HANDSHAKES.labels("refused").inc()
        raise
    try:
        telemetry.HANDSHAKES.labels("accepted").inc()
        transport, ahead = take_over_transport(call.request)
        transport.set_protocol(connection)
        connection.connection_made(transport)
        start(ahead)
    except BaseException:
        connection.connection_lost(None)
        if transport is not None:
            transport.abort()
        raise


def websocket_key(call: Call) -> str:
    """Return the key of a handshake (RFC 6455).

    Raises LaurelsError UPGRADE_REQUIRED, or MALFORMED_REQUEST when the request declares a body.
    """
    if (call.header(hdrs.UPGRADE) or "").lower() != "websocket":
        raise LaurelsError(Code.UPGRADE_REQUIRED, "This path speaks WebSocket only.")
    options = {option.strip().lower() for option in (call.header(hdrs.CONNECTION) or "").split(",")}
    key = call.header(hdrs.SEC_WEBSOCKET_KEY) or ""
    if "upgrade" not in options or call.header(hdrs.SEC_WEBSOCKET_VERSION) != "13" or not _is_key(key):
        raise LaurelsError(
            Code.UPGRADE_REQUIRED,
            "This is not a WebSocket handshake: Connection, Sec-WebSocket-Version: 13 or Sec-WebSocket-Key is missing.",
        )
    if call.request.body_exists:  # its bytes would be read as frames
        raise LaurelsError(Code.MALFORMED_REQUEST, "A WebSocket handshake has no body: leave Content-Length out.")
    return key


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key.encode(), validate=True)) == 16
    except (binascii.Error, UnicodeEncodeError):
        return False


def offered_protocols(call: Call) -> list[str]:
    """Return the offered subprotocols. Raises LaurelsError(UPGRADE_REQUIRED) when ours is not among them."""
    lines = call.request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, [])
    offered = [name.strip() for line in lines for name in line.split(",")]
    if offered and protocol.SUBPROTOCOL not in offered:
        raise LaurelsError(Code.UPGRADE_REQUIRED, f"This path speaks {protocol.SUBPROTOCOL}.")
    return offered


def origin_allowed(origins: Origins, call: Call) -> bool:
    """Return whether the page may authenticate: no Origin (not a browser), the node's own, or one that is allowed.

    Raises LaurelsError(MALFORMED_REQUEST) when the header is not an origin.
    """
    lines = call.request.headers.getall(hdrs.ORIGIN, [])
    if not lines:
        return True
    if len(lines) > 1 or not is_origin(lines[0]):
        raise LaurelsError(Code.MALFORMED_REQUEST, "Origin is not an origin: scheme://host, or null.")
    host = lines[0].partition("://")[2]
    return (host != "" and host == call.header(hdrs.HOST)) or origins.allow(lines[0])


def bad_origin() -> LaurelsError:
    """Return the refusal of a page whose origin is not allowed."""
    return LaurelsError(
        Code.ORIGIN_NOT_ALLOWED, "Pages of this origin may not authenticate here. The operator can list it."
    )
