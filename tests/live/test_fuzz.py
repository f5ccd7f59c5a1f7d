"""Bytes and headers that no one foresaw: the node never fails, forgets nothing it holds, and goes on answering.

Examples are the same in every run. `make test` runs few, `make test-slow` many.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import structlog
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from tests.live.raw_websocket import ABNORMAL, RawSocket, frame, raw_socket, text
from tests.live.screens import PATIENCE
from tests.support.node import InProcessNode
from tests.support.polling import eventually

from laurels.live import client_connection, protocol

FEW = settings(
    max_examples=60,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],  # each try to shrink a failure would be a connection more: report the first as it is
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
MANY = settings(FEW, max_examples=300)
DOCUMENTED = {*protocol.REASONS, ABNORMAL, 1005}
ODD = [
    "http://[",
    "://",
    "null",
    "\xff\xfe",
    "%",
    "%zz",
    "%00",
    "a" * 3_000,
    "é" * 40,
    "",
    " ",
    ",",
    ";q=",
    '"',
    "\t",
    "-1",
    "9" * 400,
]


# -- what a client may send


def odd_text() -> SearchStrategy[str]:
    return st.sampled_from(ODD) | st.text(max_size=40)


def odd_json() -> SearchStrategy[Any]:
    leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | odd_text()
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(odd_text(), inner, max_size=4)
    )


def action() -> SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {},
        optional={
            "action_type": st.sampled_from(["lesson", "race", "nothing"]) | odd_text(),
            "action_identifier": odd_text(),
            "metadata": odd_json(),
            "completed_at": odd_text(),
            "ticket": odd_text() | st.sampled_from(["a.b.c", "v1.e30.e30"]),
        },
    )


def message() -> SearchStrategy[dict[str, Any]]:
    """A frame of the protocol, right or nearly so. The token `good` stands for a user's."""
    kinds = ["authenticate", "subscribe", "unsubscribe", "resync", "complete", "ping", "hello"]
    return st.fixed_dictionaries(
        {"type": st.sampled_from(kinds)},
        optional={
            "id": st.integers(-1, 2**63) | odd_json(),
            "token": st.just("good") | odd_text() | st.sampled_from(["a.b.c", "lk_x", "e30.e30.e30"]),
            "channel": st.sampled_from(["board:points", "me", "activity:points", "board:nowhere"]) | odd_text(),
            "size": st.integers(-1, 102) | odd_json(),
            "since": odd_text(),
            "action": action() | odd_json(),
            "user": odd_json(),
        },
    )


@st.composite
def any_frame(draw: st.DrawFn) -> bytes:
    """A frame with any first byte and any payload: whole, unmasked, of another length than it says, or cut off."""
    payload = draw(st.binary(max_size=140) | message().map(lambda one: json.dumps(one).encode()))
    whole = frame(draw(st.integers(0, 255)), payload, draw(st.binary(min_size=4, max_size=4)))
    wrong = draw(st.sampled_from(["nothing", "nothing", "unmasked", "length", "cut"]))
    if wrong == "unmasked":
        return whole[:1] + bytes([whole[1] & 0x7F]) + whole[2:]
    if wrong == "length":
        return whole[:1] + bytes([draw(st.integers(0, 255))]) + whole[2:]
    return whole[: draw(st.integers(0, len(whole)))] if wrong == "cut" else whole


Part = bytes | dict[str, Any]
said: SearchStrategy[Part] = st.one_of(
    message(),
    any_frame(),
    st.binary(max_size=300),
    st.builds(lambda one, count: one * count, any_frame(), st.integers(2, 400)),
)


# -- what must hold


@pytest.fixture(autouse=True)
def _brief_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_connection, "CLOSE_GRACE", 0.05)


@pytest.fixture
async def token(node: InProcessNode) -> str:
    return await node.token("ada")


@contextlib.asynccontextmanager
async def unharmed(node: InProcessNode) -> AsyncIterator[None]:
    """Fail if anything was logged as an error, was left to the loop, is still held, or if the node does not answer."""
    failures: list[Any] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: failures.append(context))
    try:
        with structlog.testing.capture_logs() as logged:
            yield
            await eventually(lambda: held(node), (0, 0, 0, 0).__eq__, within=PATIENCE)
            assert (await node.get("/livez"))[0] == 200
        failures += [entry for entry in logged if entry["log_level"] in ("error", "critical")]
        assert not failures
    finally:
        loop.set_exception_handler(None)


async def held(node: InProcessNode) -> tuple[int, int, int, int]:
    connection_limits = node.services.hub.connection_limits
    return (
        len(node.services.hub),
        connection_limits.acquired,
        len(connection_limits._addresses),
        len(connection_limits._users),
    )


def encoded(parts: list[Part], token: str) -> bytes:
    """The bytes of these parts, with `token` where a message says it is good."""
    shown = [one | {"token": token} if isinstance(one, dict) and one.get("token") == "good" else one for one in parts]
    return b"".join(text(**one) if isinstance(one, dict) else one for one in shown)


async def send_in_pieces(raw: RawSocket, data: bytes, cuts: list[int]) -> None:
    for cut in cuts:
        await raw.flood(data[:cut])
        data = data[cut:]
        await asyncio.sleep(0)
    await raw.flood(data)


async def says(node: InProcessNode, data: bytes, cuts: list[int], ending: str) -> None:
    async with unharmed(node), raw_socket(node) as raw:
        await send_in_pieces(raw, data, cuts)
        await _ends(raw, ending)


async def _ends(raw: RawSocket, ending: str) -> None:
    """However the client ends it, the server ends it too, with a code that is documented or the client's own."""
    if ending == "abort":
        raw.writer.transport.abort()
        return
    if ending == "close":
        await raw.flood(frame(0x88, (1000).to_bytes(2, "big")))
    with contextlib.suppress(OSError):
        raw.writer.write_eof()
    code = await raw.close_code()
    assert code in DOCUMENTED or 1000 <= code <= 4999
    if code == ABNORMAL:
        return
    await raw.ended()


endings = st.sampled_from(["abort", "close", "half-close"])
cuttings = st.lists(st.integers(1, 300), max_size=12)


@FEW
@given(parts=st.lists(said, max_size=12), cuts=cuttings, ending=endings)
async def test_no_bytes_on_a_socket_harm_the_node(
    node: InProcessNode, token: str, parts: list[Part], cuts: list[int], ending: str
) -> None:
    await says(node, encoded(parts, token), cuts, ending)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@MANY
@given(parts=st.lists(said, max_size=40), cuts=cuttings, ending=endings)
async def test_no_bytes_on_a_socket_harm_the_node_however_many(
    node: InProcessNode, token: str, parts: list[Part], cuts: list[int], ending: str
) -> None:
    await says(node, encoded(parts, token), cuts, ending)


@FEW
@given(messages=st.lists(message(), max_size=12), cuts=cuttings)
async def test_a_socket_that_sent_odd_messages_works_on(
    node: InProcessNode, token: str, messages: list[dict[str, Any]], cuts: list[int]
) -> None:
    """Each is answered or refused; it closes only for what closes (a token that is banned, of another page)."""
    data = encoded([one for one in messages if len(json.dumps(one)) <= protocol.MAX_INCOMING], token)
    async with unharmed(node), raw_socket(node) as raw:
        await send_in_pieces(raw, data + text(type="ping", id=77_777), cuts)
        while (await raw.said("pong")).get("id") != 77_777:
            pass


# -- what a handshake may say


def header_value() -> SearchStrategy[str]:
    return st.one_of(
        st.sampled_from(ODD),
        st.sampled_from(
            ["websocket", "Upgrade", "13", "laurels.v1", "laurels.v1, laurels.token.a.b.c", "dGhlIHNhbXBsZSBub25jZQ=="]
        ),
        st.sampled_from(
            [
                "https://stranger.example",
                "http://[::1]:80",
                "http://a:b:c",
                "permessage-deflate",
                "Bearer a.b.c",
                "Bearer lk_\xe9",
            ]
        ),
        st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=80),
    )


HEADERS = [
    "Origin",
    "Upgrade",
    "Connection",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
    "Last-Event-ID",
    "Authorization",
    "X-Request-ID",
    "X-Forwarded-For",
]
GOOD = {
    "Host": "laurels.test",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
odd_headers = st.lists(st.tuples(st.sampled_from(HEADERS), header_value()), max_size=4)
queries = st.dictionaries(st.sampled_from(["channel", "size", "since", "authenticate"]), odd_text(), max_size=2)


def handshake(path: str, query: dict[str, str], headers: list[tuple[str, str]]) -> bytes:
    """A good handshake, but for the headers that are given."""
    asked = "&".join(f"{name}={quote(value.encode('utf-8', 'replace'))}" for name, value in query.items())
    named = {name for name, _ in headers}
    lines = [(name, value) for name, value in GOOD.items() if name not in named] + headers
    head = f"GET {path}{'?' if asked else ''}{asked} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in lines)
    return head.encode("latin-1", "replace") + b"\r\n"


async def status_of(node: InProcessNode, request: bytes) -> int:
    place = urlsplit(node.url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    try:
        writer.write(request)
        async with asyncio.timeout(PATIENCE):
            return int((await reader.readuntil(b"\r\n\r\n")).split()[1])
    finally:
        writer.transport.abort()


async def shakes_hands(node: InProcessNode, request: bytes) -> None:
    async with unharmed(node):
        assert await status_of(node, request) < 500


PATHS = ["/api/live", "/api/live/events", "/api/live/events?channel=me"]


@pytest.mark.parametrize("path", PATHS)
async def test_no_single_header_harms_the_node(node: InProcessNode, path: str) -> None:
    """Each header with each odd value, in an otherwise good handshake."""
    async with unharmed(node):
        for name in HEADERS:
            for value in ODD:
                for shown in (value, f"laurels.v1, laurels.token.{value}", f"Bearer {value}"):
                    assert await status_of(node, handshake(path, {}, [(name, shown)])) < 500, (name, shown)


@FEW
@given(path=st.sampled_from(PATHS[:2]), query=queries, headers=odd_headers)
async def test_no_handshake_harms_the_node(
    node: InProcessNode, path: str, query: dict[str, str], headers: list[tuple[str, str]]
) -> None:
    await shakes_hands(node, handshake(path, query, headers))


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@MANY
@given(path=st.sampled_from(PATHS[:2]), query=queries, headers=odd_headers)
async def test_no_handshake_harms_the_node_however_many(
    node: InProcessNode, path: str, query: dict[str, str], headers: list[tuple[str, str]]
) -> None:
    await shakes_hands(node, handshake(path, query, headers))
