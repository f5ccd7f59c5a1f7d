"""Bodies are inflated only where one is expected, in bounded steps, and read only so far where none is."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable

import pytest
from aiohttp import StreamReader
from hypothesis import given
from hypothesis import strategies as st
from tests.support.node import InProcessNode
from tests.support.raw_http import connected, exchange, request
from tests.web.attacker import COMPLETE, Attacker, action, assert_problem

from laurels.domain.errors import Code, LaurelsError
from laurels.web.http.bodies import MAX_PIECES, OUT_STEP, inflate
from laurels.web.http.connection import LINGER_BYTES

WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
COMPRESS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}
BOMB = gzip.compress(bytes(64_000_000))
CODINGS = st.sampled_from(sorted(WINDOWS))


def code_of(data: bytes, coding: str, limit: int) -> Code | bytes:
    """Return the inflated bytes, or the refusal."""
    try:
        return asyncio.run(inflate(data, WINDOWS[coding], limit))
    except LaurelsError as error:
        return error.code


@given(coding=CODINGS, text=st.binary(max_size=300).map(lambda part: part * 700), spare=st.integers(-1, 1))
def test_a_body_is_inflated_up_to_its_limit_and_not_a_byte_further(coding: str, text: bytes, spare: int) -> None:
    limit = max(0, len(text) + spare)
    expected = text if len(text) <= limit else Code.BODY_TOO_LARGE
    assert code_of(COMPRESS[coding](text), coding, limit) == expected


@given(coding=CODINGS, data=st.data())
def test_what_is_cut_or_followed_by_more_is_malformed(coding: str, data: st.DataObject) -> None:
    """Also by a second member: thousands of empty ones would be work without a limit."""
    whole = COMPRESS[coding](b'{"action_type":"lesson"}' * 400)
    cut = data.draw(st.integers(0, len(whole) - 1))
    more = data.draw(st.sampled_from([b"x", bytes(5_000), whole, COMPRESS[coding](b"")]))
    for broken in (whole[:cut], whole + more):
        assert code_of(broken, coding, 1 << 20) == Code.MALFORMED_REQUEST


@given(coding=CODINGS, junk=st.binary(max_size=2_000))
def test_junk_is_malformed_and_never_more_than_its_limit(coding: str, junk: bytes) -> None:
    found = code_of(junk, coding, 100)
    assert found in (Code.MALFORMED_REQUEST, Code.BODY_TOO_LARGE) or len(found) <= 100


async def test_other_tasks_run_between_the_steps_of_inflating() -> None:
    """Whether there is much to make or much that makes nothing."""
    empty = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    blocks = b"".join(empty.compress(b"") + empty.flush(zlib.Z_SYNC_FLUSH) for _ in range(20_000)) + empty.flush()
    for data in (gzip.compress(bytes(32 * OUT_STEP)), blocks):
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        await inflate(data, WINDOWS["gzip"], 1 << 24)
        counting.cancel()
        assert turns >= 16


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZIP", "deflate", "identity", ""])
async def test_a_compressed_action_counts(node: InProcessNode, coding: str) -> None:
    token = await node.token()
    compress = (COMPRESS | {"x-gzip": gzip.compress}).get(coding.lower(), bytes)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Content-Encoding": coding}
    reply = await exchange(node.url, request("POST", COMPLETE, headers, compress(action())))
    assert reply.status == 201, reply


@pytest.mark.parametrize(
    "coding", ["br", "zstd", "compress", "gzip, gzip", "gzip, br", "identity, gzip", "gzip;q=1", "x"]
)
async def test_other_codings_are_refused_and_the_known_ones_named(attacker: Attacker, coding: str) -> None:
    reply = await attacker.post(COMPLETE, gzip.compress(action()), Content_Encoding=coding)
    assert_problem(reply, 415, "unsupported_encoding", of=coding)
    assert reply.headers["accept-encoding"] == "gzip, deflate"


async def test_two_lines_of_content_encoding_are_two_codings(attacker: Attacker) -> None:
    whole = attacker.bytes_of(COMPLETE, gzip.compress(action()), Content_Encoding="gzip")
    twice = whole.replace(b"Content-Encoding: gzip\r\n", b"Content-Encoding: gzip\r\n" * 2)
    assert_problem(await exchange(attacker.node.url, twice), 415, "unsupported_encoding")


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [("GET", "/livez", 200), ("GET", "/nothing", 404), ("PUT", "/api/boards", 405), ("OPTIONS", "/api/boards", 405)],
)
async def test_a_bomb_where_no_body_is_expected_changes_nothing(
    attacker: Attacker, method: str, target: str, status: int
) -> None:
    """It is neither inflated nor checked, and the connection stays in step."""
    async with connected(attacker.node.url) as wire:
        for _ in range(3):
            wire.send(request(method, target, {"Content-Encoding": "gzip"}, BOMB))
            assert (await wire.reply()).status == status
        wire.send(request("GET", "/livez"))
        assert (await wire.reply()).json() == {"alive": True}


async def test_an_unread_body_that_arrives_late_leaves_the_connection_in_step(attacker: Attacker) -> None:
    body = json.dumps({"x": "y" * 50_000}).encode()
    whole = request("POST", COMPLETE, {"Content-Type": "application/json"}, body)
    async with connected(attacker.node.url) as wire:
        wire.send(whole[:-40_000])
        assert_problem(await wire.reply(), 401, "token_missing")
        wire.send(whole[-40_000:] + request("GET", "/livez"))
        assert (await wire.reply()).json() == {"alive": True}


async def test_a_body_too_large_to_be_dropped_ends_the_connection(attacker: Attacker) -> None:
    head = f"GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: {LINGER_BYTES + 1}\r\n\r\n".encode()
    async with connected(attacker.node.url) as wire:
        wire.send(head + bytes(1_000))
        reply = await wire.reply()
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert await wire.ended()


async def test_a_body_without_an_end_is_read_so_far_and_no_further(attacker: Attacker) -> None:
    """Chunk after chunk to a path that takes no body: answered, then closed."""
    head = b"GET /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n"
    async with connected(attacker.node.url) as wire:
        wire.send(head)
        assert (await wire.reply()).status == 200
        wire.send(b"10000\r\n%s\r\n" % bytes(65_536) * (2 * LINGER_BYTES // 65_536))
        assert await wire.ended()
    assert (await attacker.get("/livez")).status == 200


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One entry for each chunk that the parser takes apart."""
    seen: list[None] = []
    original = StreamReader.end_http_chunk_receiving

    def end_http_chunk_receiving(reader: StreamReader) -> None:
        seen.append(None)
        original(reader)

    monkeypatch.setattr(StreamReader, "end_http_chunk_receiving", end_http_chunk_receiving)
    return seen


TINY_CHUNKS = b"1\r\n{\r\n" * 100_000
AHEAD = 2 * MAX_PIECES
"""Chunks that are parsed before they are asked for."""


@pytest.mark.parametrize(("method", "target"), [("GET", "/livez"), ("POST", "/nothing"), ("PUT", "/api/boards")])
async def test_tiny_chunks_where_no_body_is_expected_are_not_parsed(
    attacker: Attacker, parsed: list[None], method: str, target: str
) -> None:
    async with connected(attacker.node.url) as wire:
        wire.send(request(method, target, {"Transfer-Encoding": "chunked"}) + TINY_CHUNKS)
        assert (await wire.reply()).headers["connection"] == "close"
        assert await wire.ended()
    assert len(parsed) <= AHEAD


async def test_a_body_in_too_many_pieces_is_refused(attacker: Attacker, parsed: list[None]) -> None:
    fields = {"Transfer-Encoding": "chunked", "Content-Type": "application/json"}
    async with connected(attacker.node.url) as wire:
        wire.send(request("POST", COMPLETE, fields | {"Authorization": f"Bearer {attacker.token}"}) + TINY_CHUNKS)
        assert_problem(await wire.reply(), 413, "body_too_large")
        assert await wire.ended()
    assert len(parsed) <= 2 * AHEAD


async def test_a_body_in_many_pieces_counts(node: InProcessNode) -> None:
    fields = {"Transfer-Encoding": "chunked", "Content-Type": "application/json"}
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in action()) + b"0\r\n\r\n"
    head = request("POST", COMPLETE, fields | {"Authorization": f"Bearer {await node.token()}"})
    assert (await exchange(node.url, head + chunks)).status == 201


async def test_an_unread_body_is_not_invited(attacker: Attacker) -> None:
    """Expect: 100-continue is answered where a body is read, and else by the reply and an end."""
    fields = {"Expect": "100-continue", "Content-Type": "application/json", "Content-Length": "1000000000"}
    for method, target, status in (("GET", "/livez", 200), ("POST", COMPLETE, 401), ("GET", "/nothing", 404)):
        async with connected(attacker.node.url) as wire:
            wire.send(request(method, target, fields))
            reply = await wire.reply()
            assert (reply.status, reply.headers["connection"]) == (status, "close"), target
            assert await wire.ended()
    too_large = fields | {"Authorization": f"Bearer {attacker.token}"}
    reply = await exchange(attacker.node.url, request("POST", COMPLETE, too_large))
    assert_problem(reply, 413, "body_too_large")
