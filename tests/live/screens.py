"""The view of a person with the board open, over a real socket: a client of docs/protocol.md, written from it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

PATIENCE = 60.0
V1 = Subprotocol("laurels.v1")


class Reachable(Protocol):
    """Anything with the address of a node."""

    url: str


class Screen:
    """`boards`: the board after every frame so far. `frames`: those that came, oldest first."""

    def __init__(self, connection: ClientConnection, channel: str = "board:points") -> None:
        self.connection = connection
        self.channel = channel
        self.boards: list[dict[str, Any]] = []
        self.frames: list[dict[str, Any]] = []
        self._ids = itertools.count(1)

    async def say(self, kind: str, **members: Any) -> int:
        """Send a frame; its id."""
        number = next(self._ids)
        await self.connection.send(json.dumps({"type": kind, "id": number, **members}))
        return number

    async def ask(self, kind: str, **members: Any) -> dict[str, Any]:
        """Send a frame; the frame that carries its id."""
        number = await self.say(kind, **members)
        return await self.frame(lambda frame: frame.get("id") == number)

    async def subscribe(self, channel: str, **members: Any) -> dict[str, Any]:
        return await self.ask("subscribe", channel=channel, **members)

    async def next_frame(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            frame = json.loads(await self.connection.recv())
        self.frames.append(frame)
        if frame["type"] in ("board", "delta") and frame["channel"] == self.channel:
            self._show(frame)
        return frame

    async def frame(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The next frame of which `wanted` is true; others before it are taken and passed over."""
        while not wanted(frame := await self.next_frame()):
            pass
        return frame

    async def of_type(self, kind: str) -> dict[str, Any]:
        return await self.frame(lambda frame: frame["type"] == kind)

    async def next_board(self) -> dict[str, Any]:
        """The board after the next frame that changes it. It fails on one that turns back."""
        count = len(self.boards)
        while len(self.boards) == count:
            await self.next_frame()
        return self.boards[-1]

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
                    self.frames.append(json.loads(await self.connection.recv()))
            await self.connection.wait_closed()
        assert self.connection.close_code is not None
        return self.connection.close_code

    def _show(self, frame: dict[str, Any]) -> None:
        board = frame if frame["type"] == "board" else applied(self.boards[-1], frame)
        if self.boards and (self.boards[-1]["window"], self.boards[-1]["epoch"]) == (board["window"], board["epoch"]):
            assert board["seq"] >= self.boards[-1]["seq"], "the board went back"
        self.boards.append(board)


def applied(board: dict[str, Any], delta: dict[str, Any]) -> dict[str, Any]:
    """The board after a delta, as docs/protocol.md has it."""
    assert delta["base"] == board["version"], "a delta that does not fit"
    rows = board["rows"][: delta["length"]] + [None] * (delta["length"] - len(board["rows"]))
    for position, row in delta["rows"]:
        rows[position] = row
    told = ("version", "seq", "as_of", "rank_state", "total_users")
    return {**board, **{name: delta[name] for name in told}, "rows": rows}


@contextlib.asynccontextmanager
async def open_screen(node: Reachable, query: str = "", **options: Any) -> AsyncIterator[Screen]:
    """A socket that has said nothing yet."""
    async with connect(address(node) + query, **{"subprotocols": [V1], **options}) as connection:
        yield Screen(connection)


@contextlib.asynccontextmanager
async def watching(node: Reachable, board: str = "points", **options: Any) -> AsyncIterator[Screen]:
    """A socket that has asked for a board."""
    subscription = {name: options.pop(name) for name in ("size", "since") if name in options}
    async with open_screen(node, **options) as screen:
        screen.channel = f"board:{board}"
        await screen.say("subscribe", channel=screen.channel, **subscription)
        yield screen


@contextlib.asynccontextmanager
async def several_watching(node: Reachable, count: int) -> AsyncIterator[list[Screen]]:
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(watching(node)) for _ in range(count)]


@contextlib.asynccontextmanager
async def stalled(node: Reachable) -> AsyncIterator[socket.socket]:
    """A socket that asked for a board and then reads nothing, with as little room for bytes as the kernel allows."""
    place = urlsplit(node.url)
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        sock.setblocking(False)
        await loop.sock_connect(sock, (place.hostname, place.port))
        await loop.sock_sendall(sock, HANDSHAKE + masked(b'{"type":"subscribe","channel":"board:points"}'))
        yield sock


def masked(message: bytes) -> bytes:
    """A text frame of a client, masked with zeros."""
    assert len(message) < 126
    return bytes([0x81, 0x80 | len(message), 0, 0, 0, 0]) + message


def address(node: Reachable) -> str:
    return node.url.replace("http://", "ws://") + "/api/live"


HANDSHAKE = (
    b"GET /api/live HTTP/1.1\r\nHost: laurels.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def rows(board: dict[str, Any]) -> list[tuple[int, str, int]]:
    return [(row["rank"], row["username"], row["score"]) for row in board["rows"]]


def score_of(board: dict[str, Any], username: str) -> int | None:
    return next((row["score"] for row in board["rows"] if row["username"] == username), None)


def members(board: dict[str, Any]) -> dict[str, Any]:
    """Return a board frame without what it says beside GET /api/boards/{slug}."""
    return {name: value for name, value in board.items() if name not in ("type", "channel", "size", "version", "as_of")}
