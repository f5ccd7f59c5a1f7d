"""Follow a board (docs/protocol.md): `Follower` is the protocol, `follow` runs it over as many sockets as needed."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import aiohttp
import msgspec
from msgspec import structs

from .messages import Board, Delta, Frame
from .outcome import Refused

PROTOCOL = "laurels.v1"
SILENCE = 60.0
"""Seconds without a frame after which the server is considered gone; it sends a heartbeat every 25."""
FIRST_BACKOFF, LAST_BACKOFF = 0.5, 15.0
BUSY_SECONDS = 30.0
LARGEST_FRAME = 1 << 20

_AWAY = (aiohttp.ClientError, OSError, TimeoutError)


class Follower:
    """The protocol: frames in, boards and frames out. Raises Refused when the server refuses the subscription."""

    def __init__(self, board: str, size: int) -> None:
        self._channel = f"board:{board}"
        self._size = size
        self._board: Board | None = None
        self._resyncing = False
        self.advice: float | None = None
        """Seconds that a stopping server asks clients to wait before they reconnect."""

    def greet(self) -> bytes:
        """Return the first frame on a new connection, which resumes the board from its last version."""
        self._resyncing = False
        since = {} if self._board is None else {"since": self._board.version}
        return msgspec.json.encode({"type": "subscribe", "channel": self._channel, "size": self._size, **since})

    def take(self, text: str) -> tuple[Board | None, bytes | None]:
        """Handle a frame. Return (the next board, a frame to answer with). Unknown types are ignored."""
        frame = msgspec.json.decode(text, type=Frame)
        if frame.type == "error":
            raise Refused(0, frame.code, frame.detail)
        if frame.type == "drain":
            self.advice = frame.retry_ms / 1_000
        if frame.type == "board":
            return self._settle(msgspec.json.decode(text, type=Board)), None
        if frame.type == "delta" and not self._resyncing:
            return self._apply(msgspec.json.decode(text, type=Delta))
        return None, None

    def _apply(self, delta: Delta) -> tuple[Board | None, bytes | None]:
        if self._board is None or self._board.version != delta.base:
            self._resyncing = True
            return None, msgspec.json.encode({"type": "resync", "channel": self._channel})
        rows = self._board.rows[: delta.length]
        for place, row in delta.rows:
            rows[place : place + 1] = [row]
        made = structs.replace(
            self._board,
            version=delta.version,
            seq=delta.seq,
            as_of=delta.as_of,
            rank_state=delta.rank_state,
            total_users=delta.total_users,
            rows=rows,
        )
        return self._settle(made), None

    def _settle(self, board: Board) -> Board:
        """Keep all rows that the server sends, for the next delta, and return the requested ones."""
        self._board, self._resyncing = board, False
        return structs.replace(board, rows=board.rows[: self._size])


def come_back(code: int | None) -> bool:
    """Return whether a client may reconnect after a close code (docs/protocol.md); None: there was none."""
    return code not in (1002, 1003, 1007, 1008, 1009) and not 4400 <= (code or 0) < 4500


def pause(code: int | None, attempt: int, advice: float | None) -> float:
    """Return seconds until the next try: full jitter, the server's advice, or at least BUSY_SECONDS when it is full."""
    drawn: float = random.random() * min(LAST_BACKOFF, FIRST_BACKOFF * 2 ** min(attempt, 10))  # noqa: S311  spreads clients
    if 4100 <= (code or 0) < 4200:
        return BUSY_SECONDS + drawn
    return drawn if advice is None else advice


async def follow(session: aiohttp.ClientSession, url: str, follower: Follower) -> AsyncIterator[Board]:
    """Yield every board that `follower` makes, over as many connections as needed. Raises Refused."""
    attempt = 0
    while True:
        code: int | None = None
        with contextlib.suppress(*_AWAY):
            async with session.ws_connect(
                f"{url}/api/live", protocols=[PROTOCOL], max_msg_size=LARGEST_FRAME, timeout=_closing()
            ) as socket:
                await socket.send_str(follower.greet().decode())
                async for board in _boards(socket, follower):
                    attempt = 0
                    yield board
                code = socket.close_code
        if not come_back(code):
            raise Refused(0, "closed", f"the server closed with {code}: do not come back")
        await asyncio.sleep(pause(code, attempt, follower.advice))
        follower.advice = None
        attempt += 1


async def _boards(socket: aiohttp.ClientWebSocketResponse, follower: Follower) -> AsyncIterator[Board]:
    while True:
        message = await socket.receive(timeout=SILENCE)
        if message.type is not aiohttp.WSMsgType.TEXT:
            return
        board, answer = follower.take(message.data)
        if answer is not None:
            await socket.send_str(answer.decode())
        if board is not None:
            yield board


def _closing() -> aiohttp.ClientWSTimeout:
    return aiohttp.ClientWSTimeout(ws_close=2.0)
