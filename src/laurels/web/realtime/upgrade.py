"""GET /api/live: from an HTTP request to an open WebSocket."""

from __future__ import annotations

from ...live import framing, protocol
from ..context import LiveContext
from ..http.messages import StreamResponse
from ..http.upgrade import UpgradedResponse
from ..pipeline.call import Call
from .handshake import bad_origin, hand_over, offered_protocols, origin_allowed, websocket_key
from .websocket import WebSocketConnection

_HEAD = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: {accept}\r\nX-Request-ID: {request_id}\r\nServer: laurels\r\n"
)


async def live(context: LiveContext, call: Call) -> StreamResponse:
    """Accept a WebSocket handshake and leave the transport to a WebSocketConnection.

    Raises LaurelsError UPGRADE_REQUIRED, MALFORMED_REQUEST, ORIGIN_NOT_ALLOWED, TOO_MANY_SOCKETS, or what a token
    offered as subprotocol is refused with.
    """
    key = websocket_key(call)
    offered = offered_protocols(call)
    may_authenticate = origin_allowed(context.origins, call)
    token = next((name for name in offered if name.startswith(protocol.TOKEN_SUBPROTOCOL)), None)
    presented, caller = "", None
    if token is not None:
        if not may_authenticate:
            raise bad_origin()
        presented = token.removeprefix(protocol.TOKEN_SUBPROTOCOL)
        authenticator = context.authenticator
        caller = authenticator.caller_of_token(presented) or await authenticator.external_user_of(presented)
    head = _HEAD.format(accept=framing.accept_key(key), request_id=call.request_id)
    if protocol.SUBPROTOCOL in offered:
        head += f"Sec-WebSocket-Protocol: {protocol.SUBPROTOCOL}\r\n"
    connection = WebSocketConnection(
        context,
        call.address,
        origin_allowed=may_authenticate,
        must_authenticate=call.params.authenticate and caller is None,
    )

    def start(ahead: bytes) -> None:
        connection.open(f"{head}\r\n".encode())
        if caller is not None:
            connection.authenticate_as(caller, presented, None)
        if ahead:
            connection.data_received(ahead)

    hand_over(context.hub, call, connection, start)
    return UpgradedResponse(status=101)
