"""A TCP proxy that does to a connection what networks do: lose replies, stall, cut, slow down, say nothing more.

The faults hold for all connections, those open and those to come, until `heal()`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

CHUNK = 65_536
POLL = 0.02
GONE = (OSError, RuntimeError)
"""The other end went first. uvloop raises RuntimeError when a transport is written to that it has closed."""


class FaultProxy:
    """Listens on `port`; `upstream` is (host, port) or the path of a Unix socket. Times in seconds."""

    def __init__(self, upstream: tuple[str, int] | Path) -> None:
        self.upstream = upstream
        self.port = 0
        self.latency = 0.0
        self.piece = 0
        """Bytes written at once, with a pause between: a trickle. 0: as they come."""
        self.swallow_replies = False
        """Requests arrive, replies don't: the acknowledgement is lost on the wire."""
        self.half_open = False
        """Stop both directions silently."""
        self.refuse = False
        self.reset_share = 0.0
        """How many chunks out of one are answered by a reset."""
        self._random = random.Random(0)
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()

    def heal(self) -> None:
        """Let everything pass again. Connections whose replies were swallowed have lost them: they are cut."""
        if self.swallow_replies or self.half_open:
            self.cut()
        self.latency, self.piece, self.reset_share = 0.0, 0, 0.0
        self.swallow_replies = self.half_open = self.refuse = False

    def cut(self) -> None:
        """Reset every open connection."""
        for pair in list(self._pairs):
            for writer in pair:
                _reset(writer)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[FaultProxy]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.heal()
            self.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self.refuse:
                _reset(writer)
                return
            behind = await self._open()
        except OSError:
            _reset(writer)
            return
        pair = (writer, behind[1])
        self._pairs.add(pair)
        try:
            await asyncio.gather(self._pump(reader, behind[1], pair), self._pump(behind[0], writer, pair, replies=True))
        finally:
            self._pairs.discard(pair)
            for end in pair:
                end.close()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self.upstream, Path):
            return await asyncio.open_unix_connection(self.upstream)
        return await asyncio.open_connection(*self.upstream)

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        pair: tuple[asyncio.StreamWriter, asyncio.StreamWriter],
        *,
        replies: bool = False,
    ) -> None:
        try:
            while chunk := await source.read(CHUNK):
                while self.half_open:  # noqa: ASYNC110  a fault, looked at by many
                    await asyncio.sleep(POLL)
                if self.reset_share and self._random.random() < self.reset_share:
                    for end in pair:
                        _reset(end)
                    return
                if self.latency:
                    await asyncio.sleep(self.latency)
                if not (replies and self.swallow_replies):
                    await self._write(sink, chunk)
            if sink.can_write_eof():
                sink.write_eof()
        except GONE:  # one end was reset: so is the other, or it would wait for an answer without end
            for end in pair:
                _reset(end)

    async def _write(self, sink: asyncio.StreamWriter, chunk: bytes) -> None:
        size = self.piece or len(chunk)
        for start in range(0, len(chunk), size):
            sink.write(chunk[start : start + size])
            await sink.drain()
            if self.piece:
                await asyncio.sleep(POLL)


def _reset(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, ValueError):  # closed already: uvloop has no descriptor any more
        plain = writer.get_extra_info("socket")
        if plain is not None and plain.family == socket.AF_INET:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
