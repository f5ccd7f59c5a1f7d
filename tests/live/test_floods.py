"""One client can't keep the loop from others: every frame counts, a turn handles few, a closed socket is not read."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from tests.live.raw_websocket import RawSocket, frame, raw_socket, text
from tests.live.screens import PATIENCE
from tests.support.node import InProcessNode
from tests.support.polling import eventually

from laurels.live import client_connection, framing, protocol
from laurels.live.protocol import Close
from laurels.web.realtime import websocket as live_socket
from laurels.web.realtime.framed_connection import FRAMES_PER_TURN
from laurels.web.realtime.websocket import WebSocketConnection

MANY = 20_000
EMPTY_PONG = b"\x8a\x80abcd"
FRAGMENTS = frame(0x01) + frame(0x00) + frame(0x80, b'{"type":"ping"}')


@pytest.fixture(autouse=True)
def _brief_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that a test leaves open are cut soon."""
    monkeypatch.setattr(client_connection, "CLOSE_GRACE", 0.5)


@dataclass
class Decoded:
    """Counts decoded frames, in all and in the busiest turn of the loop."""

    total: int = 0
    most: int = 0


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Decoded:
    """Counts what every decoder of this process decodes."""
    counts, turn = Decoded(), [0]
    decode = framing.Decoder.next

    def counting(decoder: framing.Decoder) -> tuple[int, bytes] | None:
        found = decode(decoder)
        if found is not None:
            if turn[0] == 0:
                asyncio.get_running_loop().call_soon(turn.__setitem__, 0, 0)
            counts.total += 1
            turn[0] += 1
            counts.most = max(counts.most, turn[0])
        return found

    monkeypatch.setattr(framing.Decoder, "next", counting)
    return counts


def the_connection(node: InProcessNode) -> WebSocketConnection:
    (connection,) = node.services.hub._connections
    assert isinstance(connection, WebSocketConnection)
    return connection


async def held(node: InProcessNode) -> tuple[int, int]:
    return len(node.services.hub), node.services.hub.connection_limits.acquired


async def until_nothing_is_held(node: InProcessNode) -> None:
    await eventually(lambda: held(node), (0, 0).__eq__, within=PATIENCE)


async def test_a_flood_with_the_handshake_is_decoded_to_the_rate_and_no_further(
    node: InProcessNode, decoded: Decoded
) -> None:
    async with raw_socket(node, ahead=EMPTY_PONG * MANY) as raw:
        assert await raw.close_code() == Close.TOO_MANY_FRAMES
    assert decoded.total <= 2 * protocol.FRAME_BURST


@pytest.mark.parametrize(
    "flood",
    [
        EMPTY_PONG,
        frame(0x8A, b"x" * 125),
        frame(0x89),
        FRAGMENTS,
        frame(0x80 | 0x1),
        text(type="ping"),
        frame(0x81, b"{"),
    ],
    ids=["empty pongs", "pongs", "pings", "fragments", "empty messages", "ping messages", "no JSON"],
)
async def test_every_frame_counts_and_what_has_arrived_is_not_decoded_after_the_close(
    node: InProcessNode, decoded: Decoded, flood: bytes
) -> None:
    async with raw_socket(node) as raw:
        sending = asyncio.create_task(raw.flood(flood * MANY))
        assert await raw.close_code() == Close.TOO_MANY_FRAMES
        await raw.ended()
        sending.cancel()
        # More than the burst by what the rate allows while it arrived, no matter how much that was.
        assert decoded.total <= 2 * protocol.FRAME_BURST
        assert decoded.most <= FRAMES_PER_TURN


async def test_valid_subscriptions_are_bounded_by_the_same_rate(node: InProcessNode, decoded: Decoded) -> None:
    async with raw_socket(node) as raw:
        sending = asyncio.create_task(raw.flood(text(type="subscribe", channel="board:points", size=100) * MANY))
        assert await raw.close_code() in (Close.TOO_MANY_FRAMES, Close.SLOW)
        sending.cancel()
        assert decoded.total <= 2 * protocol.FRAME_BURST


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        (frame(0x83), framing.PROTOCOL_ERROR),
        (frame(0xBF), framing.PROTOCOL_ERROR),
        (frame(0xC1, b"compressed"), framing.PROTOCOL_ERROR),
        (frame(0x82, b"binary"), framing.NO_TEXT),
        (frame(0x81, b"\xff"), framing.NOT_UTF8),
        (frame(0x01) + frame(0x00) * framing.MAX_FRAGMENTS, framing.TOO_BIG),
        (bytes([0x81, 0xFF]) + (2**62).to_bytes(8, "big"), framing.TOO_BIG),
    ],
    ids=["reserved opcode", "reserved control", "reserved bit", "binary", "no text", "many fragments", "too big"],
)
async def test_nothing_is_read_after_a_violation(
    node: InProcessNode, decoded: Decoded, broken: bytes, code: int
) -> None:
    async with raw_socket(node) as raw:
        await raw.said("hello")
        connection = the_connection(node)
        sending = asyncio.create_task(raw.flood((broken + EMPTY_PONG) * MANY))
        assert await raw.close_code() == code
        assert not connection.transport.is_reading()
        await raw.ended()
        sending.cancel()
        assert decoded.total <= framing.MAX_FRAGMENTS + 2


async def test_a_turn_of_the_loop_handles_a_bounded_number_of_frames(node: InProcessNode, decoded: Decoded) -> None:
    """Also of those that do not count, a user's actions; each is answered, in one turn or another."""
    token = await node.token("ada")
    count = 10 * FRAMES_PER_TURN
    action = {"action_type": "lesson", "action_identifier": "the same"}
    async with raw_socket(node, text(type="authenticate", token=token)) as raw:
        await raw.said("authenticated")
        await raw.flood(b"".join(text(type="complete", id=n, action=action) for n in range(count)))
        assert {(await raw.said("result"))["id"] for _ in range(count)} == set(range(count))
    assert decoded.most <= FRAMES_PER_TURN


async def test_much_that_comes_right_behind_the_handshake_is_read(node: InProcessNode) -> None:
    """The HTTP server stops reading at 64 KiB; the socket reads on."""
    padded = frame(0x81, b'{"type":"ping","id":1}' + b" " * 15_000)
    async with raw_socket(node, ahead=padded * 10) as raw:
        for _ in range(10):
            assert (await raw.said("pong"))["id"] == 1
        await raw.flood(padded)
        await raw.said("pong")


async def test_what_follows_a_close_frame_is_not_read(node: InProcessNode, decoded: Decoded) -> None:
    async with raw_socket(node) as raw:
        await raw.said("hello")
        sending = asyncio.create_task(raw.flood(frame(0x88, b"\x03\xe8") + EMPTY_PONG * MANY))
        assert await raw.close_code() == Close.NORMAL
        await until_nothing_is_held(node)
        sending.cancel()
    assert decoded.total == 1


async def test_a_client_that_floods_instead_of_closing_is_not_read(node: InProcessNode, decoded: Decoded) -> None:
    """The server closed for a reason of its own, and waits for the client's close frame: not for anything else."""
    async with raw_socket(node) as raw:
        await raw.said("hello")
        connection = the_connection(node)
        connection.close(Close.NOT_ALLOWED)
        sending = asyncio.create_task(raw.flood(EMPTY_PONG * MANY))
        assert await raw.close_code() == Close.NOT_ALLOWED
        await raw.ended()
        sending.cancel()
    assert decoded.total <= 2 * protocol.FRAME_BURST
    assert decoded.most <= FRAMES_PER_TURN


async def test_a_client_that_closes_in_turn_is_released_at_once(
    node: InProcessNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_connection, "CLOSE_GRACE", 10 * PATIENCE)
    async with raw_socket(node) as raw:
        await raw.said("hello")
        the_connection(node).close(Close.NOT_ALLOWED)
        assert await raw.close_code() == Close.NOT_ALLOWED
        await raw.flood(frame(0x88, b"\x11\x33"))
        await raw.ended()
        await until_nothing_is_held(node)


@pytest.mark.parametrize("code", [Close.NOT_ALLOWED, Close.TOO_MANY_FRAMES])
async def test_a_client_that_never_closes_is_cut(
    node: InProcessNode, monkeypatch: pytest.MonkeyPatch, code: Close
) -> None:
    monkeypatch.setattr(client_connection, "CLOSE_GRACE", 0.2)
    async with raw_socket(node) as raw:
        await raw.said("hello")
        the_connection(node).close(code)
        await until_nothing_is_held(node)
        assert await raw.close_code() == code


async def test_frames_count_while_the_node_waits_for_results(node: InProcessNode, decoded: Decoded) -> None:
    async with raw_socket(node) as raw:
        await raw.said("hello")
        the_connection(node)._session.draining = True
        sending = asyncio.create_task(raw.flood(text(type="ping") * MANY))
        assert await raw.close_code() == Close.TOO_MANY_FRAMES
        sending.cancel()
    assert decoded.total <= 2 * protocol.FRAME_BURST


async def test_an_unexpected_failure_closes_one_socket_and_is_logged(
    node: InProcessNode, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("injected")

    async with raw_socket(node) as other, raw_socket(node) as raw:
        monkeypatch.setattr(live_socket, "decode_body", fails)
        await raw.flood(text(type="ping"))
        assert await raw.close_code() == Close.FAILED
        monkeypatch.undo()
        await other.flood(text(type="ping", id=1))
        assert await other.said("pong") == {"type": "pong", "id": 1}
    assert "injected" in "".join(capsys.readouterr())


async def test_a_listener_of_events_may_say_next_to_nothing(node: InProcessNode) -> None:
    """Its bytes are not needed, so a flood is not read either."""
    request = b"GET /api/live/events HTTP/1.1\r\nHost: laurels.test\r\n\r\n"
    reader, writer = await asyncio.open_connection(*node.url.removeprefix("http://").split(":"))
    raw = RawSocket(reader, writer)
    writer.write(request)
    async with asyncio.timeout(PATIENCE):
        await reader.readuntil(b"event: board")
    sending = asyncio.create_task(raw.flood(b"x" * 10_000_000))
    await until_nothing_is_held(node)
    sending.cancel()
    writer.transport.abort()
