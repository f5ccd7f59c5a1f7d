"""The live WebSocket: handshake and reading here, writing in the hub."""

from __future__ import annotations

from aiohttp import WSMsgType, web

from ..domain.errors import Code, LaurelsError
from ..live import protocol
from .call import Call

PING_SECONDS = 25.0


async def live(call: Call) -> web.StreamResponse:
    """First the board as it stands, then a frame whenever its top list changed."""
    services, slug = call.services, call.params.board
    slug = slug or services.catalogue.default_board.slug
    if (call.header("Upgrade") or "").lower() != "websocket":
        raise LaurelsError(Code.UPGRADE_REQUIRED, "This path speaks WebSocket only.")
    services.hub.admit(call.address)
    # Uncompressed: a frame is built once for everybody, deflating it per socket costs three times the rest.
    socket = web.WebSocketResponse(compress=False, heartbeat=PING_SECONDS, max_msg_size=protocol.MAX_INCOMING)
    await socket.prepare(call.request)
    if slug not in services.catalogue.boards:
        # After the handshake: a browser shows a page no status of a refused one.
        await socket.close(code=protocol.CLOSE_UNKNOWN_BOARD, message=b"no such board")
        return socket
    transport = call.request.transport
    if transport is None:
        return socket
    viewer = await services.hub.join(transport, slug, call.address)  # type: ignore[arg-type]
    try:
        await _read_until_closed(socket)
    finally:
        services.hub.leave(viewer, socket.close_code or 1006)
    return socket


async def _read_until_closed(socket: web.WebSocketResponse) -> None:
    async for message in socket:
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            await socket.close(code=protocol.CLOSE_UNEXPECTED, message=b"nothing to say here")
