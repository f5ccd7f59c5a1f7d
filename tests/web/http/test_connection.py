"""One connection, spoken to in bytes: replies that leave with those of others come whole, in order, and bounded."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from tests.support.polling import eventually

from laurels.web.http.connection import MAX_COALESCED
from laurels.web.http.responses import ReadyResponse
from laurels.web.http.router import Router
from laurels.web.http.server import Runner

BIG = 1 << 20


class House:
    """A server, one of whose handlers waits for `door`. `asked`: who came; `served`: how many waited to the end."""

    def __init__(self) -> None:
        self.door = asyncio.Event()
        self.asked: list[str] = []
        self.served = 0
        self.port = 0
        self.stop: Callable[[], Awaitable[None]]

    async def at_once(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path_qs)
        return ReadyResponse(200, {}, request.path_qs.encode())

    async def waiting(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path_qs)
        await self.door.wait()
        self.served += 1
        return ReadyResponse(200, {}, request.path_qs.encode())

    async def streamed(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(request.path_qs))})
        await response.prepare(request)
        await response.write(request.path_qs.encode())
        return response

    async def hung_up(self, request: web.Request) -> web.StreamResponse:
        """Its client leaves at the last moment, when the reply is as good as made."""
        self.asked.append(request.path_qs)
        await self.door.wait()
        assert request.transport is not None
        request.transport.abort()
        return ReadyResponse(200, {}, b"to no client")

    async def big(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path_qs)
        return ReadyResponse(200, {}, bytes(BIG))

    async def echoing(self, request: web.Request) -> web.StreamResponse:
        return ReadyResponse(200, {}, await request.content.read())

    async def broken(self, _: web.Request) -> web.StreamResponse:
        return ReadyResponse(200, {"X": "a\r\nb"}, b"")


@pytest.fixture
async def house() -> AsyncIterator[House]:
    open_house = House()
    app = web.Application()
    for name in ("at_once", "waiting", "streamed", "hung_up", "big", "echoing", "broken"):
        app.router.add_route("*", f"/{name}", getattr(open_house, name))
    runner = Runner(app, Router(), access_log=None, shutdown_timeout=5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    open_house.port, open_house.stop = runner.addresses[0][1], runner.cleanup
    yield open_house
    open_house.door.set()
    await runner.cleanup()


async def _connected(house: House) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", house.port)


def _get(*targets: str) -> bytes:
    return b"".join(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for target in targets)


async def _reply(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    async with asyncio.timeout(5):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(line for line in head.splitlines() if line.lower().startswith("content-length:"))
        return int(head.split()[1]), await reader.readexactly(int(length.partition(":")[2]))


async def _until(condition: Callable[[], bool]) -> None:
    async def met() -> bool:
        return condition()

    await eventually(met, bool)


async def _is_refused(house: House) -> bool:
    try:
        _, writer = await _connected(house)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False


async def _serves_others(house: House) -> None:
    reader, writer = await _connected(house)
    writer.write(_get("/at_once"))
    assert await _reply(reader) == (200, b"/at_once")
    writer.close()


async def test_requests_in_one_packet_are_answered_in_their_order(house: House) -> None:
    """A waiting request delays those behind it on the same connection, and none on another one."""
    reader, writer = await _connected(house)
    writer.write(_get("/at_once?1", "/waiting?2", "/at_once?3"))
    assert (await _reply(reader))[1] == b"/at_once?1"
    await _until(lambda: "/waiting?2" in house.asked)
    writer.write(_get("/at_once?4"))
    other_reader, other = await _connected(house)
    other.write(_get("/at_once?other"))
    assert (await _reply(other_reader))[1] == b"/at_once?other"
    assert house.asked == ["/at_once?1", "/waiting?2", "/at_once?other"]
    house.door.set()
    assert [(await _reply(reader))[1] for _ in range(3)] == [b"/waiting?2", b"/at_once?3", b"/at_once?4"]
    writer.close()
    other.close()


async def test_a_streamed_reply_comes_after_the_one_before(house: House) -> None:
    reader, writer = await _connected(house)
    writer.write(_get("/at_once?1", "/streamed?2", "/at_once?3"))
    for number in (1, 2, 3):
        assert (await _reply(reader))[1].endswith(b"?%d" % number)
    writer.close()


async def test_more_replies_than_leave_together_all_arrive(house: House) -> None:
    pairs = [await _connected(house) for _ in range(2 * MAX_COALESCED + 1)]
    for number, (_, writer) in enumerate(pairs):
        writer.write(_get(f"/waiting?{number}"))
    await _until(lambda: len(house.asked) == len(pairs))
    house.door.set()
    for number, (reader, writer) in enumerate(pairs):
        assert (await _reply(reader))[1] == f"/waiting?{number}".encode()
        writer.close()


async def test_who_asks_on_and_reads_nothing_is_not_answered_on(house: House) -> None:
    """Unread replies fill the kernel's buffers and one reply of ours, however many requests are sent."""
    reader, writer = await _connected(house)
    for number in range(40):
        writer.write(_get(f"/big?{number}"))
        await writer.drain()
    for _ in range(20):  # the server has had its turns
        await _serves_others(house)
    assert sum(target.startswith("/big") for target in house.asked) < 20
    for _ in range(40):
        assert (await _reply(reader))[1] == bytes(BIG)
    writer.close()


async def test_a_client_that_leaves_while_it_waits_ends_nothing(house: House) -> None:
    _, writer = await _connected(house)
    writer.write(_get("/waiting"))
    await _until(lambda: "/waiting" in house.asked)
    writer.transport.abort()
    await _serves_others(house)
    house.door.set()
    await _until(lambda: house.served == 1)  # what was begun is brought to its end


async def test_who_leaves_at_the_last_moment_keeps_no_reply_from_others(house: House) -> None:
    leaving_reader, leaving = await _connected(house)
    leaving.write(_get("/hung_up"))
    await _until(lambda: "/hung_up" in house.asked)
    reader, writer = await _connected(house)
    writer.write(_get("/waiting"))
    await _until(lambda: "/waiting" in house.asked)
    house.door.set()  # the two are ready in one turn, and leave in this order
    assert (await _reply(reader))[1] == b"/waiting"
    with contextlib.suppress(ConnectionResetError):
        assert await leaving_reader.read() == b""
    leaving.close()
    writer.close()


async def test_an_unexpected_handler_ends_only_its_connection(house: House) -> None:
    reader, writer = await _connected(house)
    writer.write(_get("/broken"))
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    await _serves_others(house)
    writer.close()


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_the_parser_inflates_nothing(house: House, method: str, coding: str) -> None:
    """Bodies reach handlers as they were sent: `auto_decompress` is off in every parser."""
    sent = gzip.compress(bytes(1_000_000))
    reader, writer = await _connected(house)
    fields = f"Host: x\r\nContent-Encoding: {coding}\r\nContent-Length: {len(sent)}"
    writer.write(f"{method} /echoing HTTP/1.1\r\n{fields}\r\n\r\n".encode() + sent)
    assert await _reply(reader) == (200, sent)
    writer.close()


async def test_connection_close_sends_the_reply_first(house: House) -> None:
    reader, writer = await _connected(house)
    writer.write(b"GET /at_once HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (await _reply(reader))[0] == 200
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()


async def test_a_server_that_stops_answers_who_waits(house: House) -> None:
    reader, writer = await _connected(house)
    writer.write(_get("/waiting"))
    await _until(lambda: "/waiting" in house.asked)
    stopping = asyncio.ensure_future(house.stop())
    await eventually(lambda: _is_refused(house), bool)
    assert not stopping.done()
    house.door.set()
    assert (await _reply(reader))[1] == b"/waiting"
    await stopping
    writer.close()
