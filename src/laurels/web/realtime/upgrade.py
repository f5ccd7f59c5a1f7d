"""GET /api/live: from an HTTP request to an open WebSocket."""

from __future__ import annotations

from ...live import framing, protocol
from ..auth.access_tokens import Principal
from ..auth.keyring import ApiKey
from ..context import LiveContext
from ..http.aiohttp_types import StreamResponse
from ..http.takeover import UpgradedResponse
from ..pipeline.call import Call
from .handshake import bad_origin, hand_over, offered_protocols, origin_allowed, websocket_key
from .websocket import WebSocketConnection

_TOKEN = protocol.TOKEN_SUBPROTOCOL
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
    token = _token_of(offered)
    if token is not None and not may_authenticate:
        raise bad_origin()
    caller = None if token is None else await _caller_of(context, token)
    head = _head(call, key, offered)
    connection = WebSocketConnection(
        context,
        call.address,
        origin_allowed=may_authenticate,
        must_authenticate=call.params.authenticate and caller is None,
    )

    def start(ahead: bytes) -> None:
        connection.open(head)
        if caller is not None and token is not None:
            connection.authenticate_as(caller, token, None)
        if ahead:
            connection.data_received(ahead)

    hand_over(context.hub, call, connection, start)
    return UpgradedResponse(status=101)


def _token_of(offered: list[str]) -> str | None:
    """Return the token that is offered as a subprotocol, or None. An empty one is a token too, and refused."""
    return next((name.removeprefix(_TOKEN) for name in offered if name.startswith(_TOKEN)), None)


async def _caller_of(context: LiveContext, token: str) -> Principal | ApiKey:
    authenticator = context.authenticator
    return authenticator.caller_of_token(token) or await authenticator.external_user_of(token)


def _head(call: Call, key: str, offered: list[str]) -> bytes:
    """Return the head of the response that accepts the handshake."""
    head = _HEAD.format(accept=framing.accept_key(key), request_id=call.request_id)
    if protocol.SUBPROTOCOL in offered:
        head += f"Sec-WebSocket-Protocol: {protocol.SUBPROTOCOL}\r\n"
    return f"{head}\r\n".encode()
