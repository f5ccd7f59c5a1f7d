"""A WebSocket that is spoken to in bytes: what no well-behaved client library would send."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

from tests.live.screens import HANDSHAKE, PATIENCE
from tests.support.node import InProcessNode
from websockets.client import ClientProtocol
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import OPEN
from websockets.uri import parse_uri

ABNORMAL = 1006
"""The code of a connection that ended without a close frame."""


def frame(first: int, payload: bytes = b"", mask: bytes = b"abcd") -> bytes:
    """Return one masked frame; `first` holds FIN, the reserved bits and the opcode."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else bytes([0xFE]) + size.to_bytes(2, "big")
    return bytes([first]) + length + mask + bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))


def text(**members: Any) -> bytes:
    return frame(0x81, json.dumps(members).encode())


class RawSocket:
    """An open connection after its handshake; `received` parses what the server sends."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self._parser = ClientProtocol(parse_uri("ws://laurels.test/"), state=OPEN)
        self._frames: list[Frame] = []

    async def flood(self, data: bytes) -> None:
        """Send as much of `data` as the server reads, until all is sent or the server ends the connection."""
        with contextlib.suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    async def next(self) -> Frame | None:
        """Return the next frame of the server, or None when it ends the connection."""
        async with asyncio.timeout(PATIENCE):
            while not self._frames:
                try:
                    data = await self._reader.read(65_536)
                except ConnectionError:
                    data = b""
                if not data:
                    return None
                self._parser.receive_data(data)
                self._frames += [event for event in self._parser.events_received() if isinstance(event, Frame)]
        return self._frames.pop(0)

    async def said(self, kind: str) -> dict[str, Any]:
        """Return the next message of this type."""
        while (one := await self.next()) is not None:
            if one.opcode is Opcode.TEXT and (message := json.loads(bytes(one.data)))["type"] == kind:
                return dict(message)
        raise AssertionError(f"no {kind} before the end")

    async def close_code(self) -> int:
        """Return the code that the server closes with; frames before it are passed over."""
        while (one := await self.next()) is not None:
            if one.opcode is Opcode.CLOSE:
                return Close.parse(one.data).code
        return ABNORMAL

    async def ended(self) -> None:
        """Wait until the server has ended the connection."""
        while await self.next() is not None:
            pass


@contextlib.asynccontextmanager
async def raw_socket(node: InProcessNode, ahead: bytes = b"", head: bytes = HANDSHAKE) -> AsyncIterator[RawSocket]:
    """Shake hands; `ahead` follows the handshake in the same write."""
    place = urlsplit(node.url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    try:
        writer.write(head + ahead)
        async with asyncio.timeout(PATIENCE):
            answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101 "), answer
        yield RawSocket(reader, writer)
    finally:
        writer.transport.abort()
