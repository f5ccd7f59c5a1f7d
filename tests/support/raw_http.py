"""HTTP as bytes on a socket: what no well-behaved client library would send."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Reply:
    """`headers` by lower-case name."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """One connection to a server. Every wait has an end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def reply(self, *, bodiless: bool = False) -> Reply:
        """The next reply; `bodiless` when it answers HEAD."""
        async with asyncio.timeout(PATIENCE):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status_line, *lines = head.rstrip().split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            length = 0 if bodiless else int(headers.get("content-length", 0))
            return Reply(int(status_line.split(" ")[1]), headers, await self._reader.readexactly(length))

    async def rest(self) -> bytes:
        """All that comes until the server closes."""
        received = b""
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionResetError):
                while chunk := await self._reader.read(65_536):
                    received += chunk
        return received

    async def ended(self) -> bool:
        """The server has nothing more to say and closes."""
        return await self.rest() == b""

    def abort(self) -> None:
        """Gone without a word."""
        self._writer.transport.abort()


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[Wire]:
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()


async def exchange(url: str, data: bytes, *, bodiless: bool = False) -> Reply:
    """Send bytes on a connection of their own and read the first reply."""
    async with connected(url) as wire:
        wire.send(data)
        return await wire.reply(bodiless=bodiless)


def request(method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> bytes:
    """A request as bytes, its target as it is given."""
    lines = [f"{method} {target} HTTP/1.1", "Host: laurels.test"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
