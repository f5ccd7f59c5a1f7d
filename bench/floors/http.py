"""Two servers with constant answers. Each prints its address.

python -m bench.floors.http aiohttp STATUS FILE    an aiohttp application: reads the body, answers FILE
python -m bench.floors.http bare STATUS FILE       a protocol that only finds the end of a request
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import uvloop
from aiohttp import web

HOST = "127.0.0.1"


class Bare(asyncio.Protocol):
    """Answer every request with the same bytes. Assumes no pipelining, which no generator here uses."""

    def __init__(self, reply: bytes) -> None:
        self._reply = reply
        self._pending = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._pending += data
        if _complete(self._pending):
            self._pending = b""
            self._transport.write(self._reply)


def _complete(request: bytes) -> bool:
    end = request.find(b"\r\n\r\n")
    if end < 0:
        return False
    at = request.find(b"Content-Length: ", 0, end)
    length = 0 if at < 0 else int(request[at + 16 : request.index(b"\r", at)])
    return len(request) >= end + 4 + length


async def _serve_bare(status: int, body: bytes) -> int:
    head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    reply = head.encode() + body
    server = await asyncio.get_running_loop().create_server(lambda: Bare(reply), HOST, 0, backlog=2048)
    return int(server.sockets[0].getsockname()[1])


async def _serve_aiohttp(status: int, body: bytes) -> int:
    async def handle(request: web.Request) -> web.Response:
        if request.can_read_body:
            await request.read()
        return web.Response(body=body, status=status, content_type="application/json")

    app = web.Application(client_max_size=4 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=75)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0, backlog=2048)
    await site.start()
    return int(runner.addresses[0][1])


async def main(kind: str, status: int, body: bytes) -> None:
    serve = _serve_aiohttp if kind == "aiohttp" else _serve_bare
    port = await serve(status, body)
    sys.stdout.write(f"http://{HOST}:{port}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]).read_bytes()))
