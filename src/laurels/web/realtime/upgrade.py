"""GET /api/live: from an HTTP request to an open WebSocket."""

from __future__ import annotations

from aiohttp import web

from ...live import framing, protocol
from ..auth.authenticate import caller_of_token, external_user_of
from ..http.call import Call
from .handshake import UpgradedResponse, bad_origin, hand_over, offered_protocols, origin_allowed, websocket_key
from .websocket import WebSocketConnection

_HEAD = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: {accept}\r\nX-Request-ID: {request_id}\r\nServer: laurels\r\n"
)


async def live(call: Call) -> web.StreamResponse:
    """Shake hands and leave the transport to a `Connection`."""
    key = websocket_key(call)
    offered = offered_protocols(call)
    may_authenticate = origin_allowed(call)
    token = next((name for name in offered if name.startswith(protocol.TOKEN_SUBPROTOCOL)), None)
    shown, caller = "", None
    if token is not None:
        if not may_authenticate:
            raise bad_origin()
        shown = token.removeprefix(protocol.TOKEN_SUBPROTOCOL)
        caller = caller_of_token(call.services, shown) or await external_user_of(call.services, shown)
    head = _HEAD.format(accept=framing.accept_key(key), request_id=call.request_id)
    if protocol.SUBPROTOCOL in offered:
        head += f"Sec-WebSocket-Protocol: {protocol.SUBPROTOCOL}\r\n"
    connection = WebSocketConnection(
        call.services,
        call.address,
        origin_allowed=may_authenticate,
        must_authenticate=call.params.authenticate and caller is None,
    )

    def start(ahead: bytes) -> None:
        connection.open(f"{head}\r\n".encode())
        if caller is not None:
            connection.authenticate_as(caller, shown, None)
        if ahead:
            connection.data_received(ahead)

    hand_over(call, connection, start)
    return UpgradedResponse(status=101)
