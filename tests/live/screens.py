"""What somebody with the board open sees, over a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlsplit

from tests.support.node import InProcessNode
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

PATIENCE = 15.0


class Screen:
    """`boards`: every board frame so far, in the order they came."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.boards: list[dict[str, Any]] = []

    async def next_board(self) -> dict[str, Any]:
        """The next board frame. It fails on one that turns back."""
        async with asyncio.timeout(PATIENCE):
            while True:
                message = json.loads(await self.connection.recv())
                if message["type"] == "board":
                    break
        if self.boards and self.boards[-1]["window"] == message["window"]:
            assert message["seq"] >= self.boards[-1]["seq"], "the board went back"
        self.boards.append(message)
        return message

    async def until(self, shown: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first board, of the last one seen and those to come, of which `shown` is true."""
        board = self.boards[-1] if self.boards else await self.next_board()
        while not shown(board):
            board = await self.next_board()
        return board

    async def close_code(self) -> int:
        """The code that the server closes with; frames before it are passed over."""
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await self.connection.recv()
            await self.connection.wait_closed()
        return self.connection.close_code


@contextlib.asynccontextmanager
async def watching(node: InProcessNode, board: str | None = None, **options: Any) -> AsyncIterator[Screen]:
    async with connect(address(node, board), **options) as connection:
        yield Screen(connection)


@contextlib.asynccontextmanager
async def several_watching(node: InProcessNode, count: int) -> AsyncIterator[list[Screen]]:
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(watching(node)) for _ in range(count)]


@contextlib.asynccontextmanager
async def stalled(node: InProcessNode) -> AsyncIterator[socket.socket]:
    """A socket that shook hands and then reads nothing, with as little room for bytes as the kernel allows."""
    place = urlsplit(node.url)
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        sock.setblocking(False)
        await loop.sock_connect(sock, (place.hostname, place.port))
        await loop.sock_sendall(sock, HANDSHAKE)
        yield sock


def address(node: InProcessNode, board: str | None = None) -> str:
    query = "" if board is None else f"?board={board}"
    return node.url.replace("http://", "ws://") + "/api/live" + query


HANDSHAKE = (
    b"GET /api/live HTTP/1.1\r\nHost: laurels.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def rows(board: dict[str, Any]) -> list[tuple[int, str, int]]:
    return [(row["rank"], row["username"], row["score"]) for row in board["rows"]]


def score_of(board: dict[str, Any], username: str) -> int | None:
    return next((row["score"] for row in board["rows"] if row["username"] == username), None)
