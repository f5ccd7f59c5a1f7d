"""The live WebSocket: handshake and reading here, writing in the hub.

Boards are public and carry no one's rights, so any page may watch them: there is no Origin check.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

from aiohttp import WSMsgType, web

from ..domain.errors import Code, LaurelsError
from ..live import protocol
from ..live.hub import Hub, Viewer
from .call import Call


async def live(call: Call) -> web.StreamResponse:
    """First the board as it stands, then a frame whenever its top list changed."""
    services = call.services
    board = call.params.board or services.catalogue.default_board.slug
    if (call.header("Upgrade") or "").lower() != "websocket":
        raise LaurelsError(Code.UPGRADE_REQUIRED, "This path speaks WebSocket only.")
    # Uncompressed: a frame is built once for everybody, deflating it per socket costs three times the rest.
    # No pings: the kernel notices the dead by the heartbeat they don't acknowledge, the hub those who don't read.
    response = web.WebSocketResponse(
        compress=False, autoclose=False, max_msg_size=protocol.MAX_INCOMING, timeout=protocol.CLOSE_GRACE
    )
    with services.hub.seat(call.address):
        await response.prepare(call.request)
        transport = call.request.transport
        if transport is not None:
            _tune(transport)
            await _watch(services.hub, response, transport, board)
    return response


async def _watch(hub: Hub, response: web.WebSocketResponse, transport: asyncio.Transport, board: str) -> None:
    # An unknown board too: a browser shows a page no status of a refused handshake, only close codes.
    viewer = hub.join(transport, board)
    try:
        await _read_until_closed(hub, response, viewer)
    finally:
        hub.leave(viewer, response.close_code)
        if viewer.closed_with is not None:
            transport.close()  # both sides have said goodbye: aiohttp needn't say it again


async def _read_until_closed(hub: Hub, response: web.WebSocketResponse, viewer: Viewer) -> None:
    async for message in response:
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            hub.dismiss(viewer, protocol.NOTHING_TO_SAY)


def _tune(transport: asyncio.Transport) -> None:
    """Bound what the kernel keeps for a socket that is not read, and how long it waits for a dead one."""
    sock = transport.get_extra_info("socket")
    with contextlib.suppress(OSError):  # closed already
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, protocol.SEND_BUFFER)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(protocol.DEAD_SECONDS * 1000))
