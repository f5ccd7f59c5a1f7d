"""A way to the server that can lose replies: requests arrive, and the line is cut before the answer does."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator
from typing import Self
from urllib.parse import urlsplit


class LossyProxy:
    """Forwards bytes to a server.

    `lose` counts the replies still to be lost, `refuse` the connections to be cut, `after` the bytes of replies that
    pass before every connection is cut.
    """

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._host, self._port = parts.hostname, parts.port
        self.lose = 0
        self.refuse = 0
        self.after = math.inf
        self.url = ""
        self._open: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        await self._server.wait_closed()

    def cut(self) -> None:
        """Cut every open connection, without a word."""
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuse:
            self.refuse -= 1
            writer.transport.abort()
            return
        there_reader, there_writer = await asyncio.open_connection(self._host, self._port)
        pair = {writer, there_writer}
        self._open |= pair
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await asyncio.gather(self._pump(reader, there_writer), self._answer(there_reader, writer))
        self._open -= pair
        for one in pair:
            one.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for chunk in _chunks(reader):
            writer.write(chunk)
        raise ConnectionResetError

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for chunk in _chunks(reader):
            self.after -= len(chunk)
            if self.after <= 0:
                raise ConnectionResetError
            if self.lose:
                self.lose -= 1
                raise ConnectionResetError
            writer.write(chunk)
        raise ConnectionResetError


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while chunk := await reader.read(65_536):
        yield chunk
