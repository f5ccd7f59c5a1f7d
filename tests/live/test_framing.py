"""Promises of the decoder: what a strict client of RFC 6455 writes is read, however it is cut; else it is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from laurels.live import framing
from laurels.live.framing import CLOSE, CONTINUATION, PING, PONG, TEXT, Decoder, FrameError

LIMIT = 70_000

said = st.one_of(
    st.tuples(st.just("text"), st.text(max_size=300)),
    st.tuples(st.just("long"), st.integers(120, 69_000)),
    st.tuples(st.just("fragments"), st.lists(st.text(max_size=50), min_size=1, max_size=5)),
    st.tuples(st.just("ping"), st.binary(max_size=125)),
    st.tuples(st.just("pong"), st.binary(max_size=125)),
)


def written(messages: list) -> tuple[bytes, list[tuple[int, bytes]]]:
    """(the bytes that `websockets` writes, what must be read)."""
    client = ClientProtocol(parse_uri("ws://laurels.test/"), state=OPEN)
    expected = []
    for kind, value in messages:
        if kind == "text":
            client.send_text(value.encode())
            expected.append((TEXT, value.encode()))
        elif kind == "long":
            client.send_text(b"x" * value)
            expected.append((TEXT, b"x" * value))
        elif kind == "fragments":
            _fragments(client, value)
            expected.append((TEXT, "".join(value).encode()))
        else:
            getattr(client, f"send_{kind}")(value)
            expected.append((PING if kind == "ping" else PONG, value))
    return b"".join(client.data_to_send()), expected


def _fragments(client: ClientProtocol, parts: list[str]) -> None:
    client.send_text(parts[0].encode(), fin=len(parts) == 1)
    for number, part in enumerate(parts[1:], 2):
        client.send_continuation(part.encode(), fin=number == len(parts))


@given(st.lists(said, max_size=6), st.lists(st.integers(1, 3_000), max_size=60))
def test_what_a_client_writes_is_read_however_it_is_cut(messages: list, cuts: list[int]) -> None:
    stream, expected = written(messages)
    decoder, read = Decoder(LIMIT), []
    for cut in cuts:
        decoder.feed(stream[:cut])
        read += decoded(decoder)
        stream = stream[cut:]
    decoder.feed(stream)
    assert [frame for frame in read + decoded(decoder) if frame[0] != CONTINUATION] == expected


@given(st.lists(said, max_size=6))
def test_each_call_decodes_exactly_one_frame(messages: list) -> None:
    """Also fragments, of which a message is not complete yet: counting calls counts frames."""
    stream, _ = written(messages)
    server = ServerProtocol(state=OPEN)
    server.receive_data(stream)
    decoder = Decoder(LIMIT)
    decoder.feed(stream)
    assert len(decoded(decoder)) == len(server.events_received())


def decoded(decoder: Decoder) -> list[tuple[int, bytes]]:
    return list(iter(decoder.next, None))


def masked(first: int, payload: bytes, *, mask: int = 0x80) -> bytes:
    return bytes([first, mask | len(payload)]) + (b"\0\0\0\0" if mask else b"") + payload


def decode_all(data: bytes, limit: int) -> None:
    decoder = Decoder(limit)
    decoder.feed(data)
    decoded(decoder)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (masked(0x81, b"hi", mask=0), 1002),
        (masked(0xC1, b"compressed"), 1002),
        (masked(0x83, b"an opcode to come"), 1002),
        (masked(0x09, b"a ping in parts"), 1002),
        (bytes([0x89, 0xFE, 0, 126]), 1002),
        (masked(0x80, b"goes on with nothing"), 1002),
        (masked(0x01, b"a") + masked(0x81, b"another meanwhile"), 1002),
        (masked(0x82, b"binary"), 1003),
        (bytes([0x81, 0xFF]) + (2**40).to_bytes(8, "big"), 1009),
        (bytes([0x81, 0xFE]) + (60_000).to_bytes(2, "big"), 1009),
        (masked(0x01, b"") + masked(0x00, b"") * 40, 1009),
    ],
)
def test_what_is_wrong_is_refused_before_it_is_all_there(data: bytes, code: int) -> None:
    with pytest.raises(FrameError) as refused:
        decode_all(data, 16 * 1024)
    assert refused.value.code == code


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail_otherwise(data: bytes) -> None:
    with contextlib.suppress(FrameError):
        decode_all(data, 100)


@pytest.mark.parametrize(("payload", "code"), [(b"", 1005), (b"\x03\xe8", 1000), (b"\x0f\xa0why", 4000)])
def test_the_code_of_a_close_frame_is_read(payload: bytes, code: int) -> None:
    assert framing.close_code(payload) == code


@pytest.mark.parametrize("payload", [b"\x03", b"\x03\xed", b"\x00\x00", b"\x13\x88", b"\x03\xe8\xff"])
def test_close_frames_that_may_not_be_are_refused(payload: bytes) -> None:
    """Half a code, codes that are never sent, codes that no one defined, a reason that is not text."""
    with pytest.raises(FrameError):
        framing.close_code(payload)


def test_the_key_is_answered_as_the_rfc_has_it() -> None:
    assert framing.accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert (CLOSE, framing.PING_FRAME) == (8, b"\x89\x00")
