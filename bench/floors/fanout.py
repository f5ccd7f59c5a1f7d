"""The least that a broadcast can cost: uvloop transports and a loop that writes one frame to each.

    python -m bench.floors.fanout FRAME-BYTES

Prints its port. Answers a WebSocket handshake without parsing it; a line `TICK` on any other connection
sends the frame to every socket.
"""

from __future__ import annotations

import asyncio
import resource
import struct
import sys

import uvloop

HOST = "127.0.0.1"
SWITCH = b"HTTP/1.1 101 -\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


class Socket(asyncio.Protocol):
    def __init__(self, everybody: set[asyncio.WriteTransport], frame: bytes) -> None:
        self._everybody = everybody
        self._frame = frame
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        if self._transport is not None:
            self._everybody.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        if data.startswith(b"TICK"):
            for transport in self._everybody:
                transport.write(self._frame)
        elif data.startswith(b"GET"):
            self._transport.write(SWITCH + self._frame)
            self._everybody.add(self._transport)


async def main(size: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    frame = _frame(size)
    everybody: set[asyncio.WriteTransport] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Socket(everybody, frame), HOST, 0, backlog=2048)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


def _frame(size: int) -> bytes:
    """Return a text frame of `size` bytes in total; boards need the header with two length bytes."""
    return struct.pack("!BBH", 0x81, 126, size - 4) + b"x" * (size - 4)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
