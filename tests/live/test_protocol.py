"""Promises of the frames: what we build by hand is what a strict parser of RFC 6455 reads."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from laurels.live import framing, protocol


def parsed(data: bytes) -> list[Frame]:
    client = ClientProtocol(parse_uri("ws://laurels.test/"), state=OPEN, max_size=None)
    client.receive_data(data)
    assert client.parser_exc is None
    return [event for event in client.events_received() if isinstance(event, Frame)]


@given(st.binary(max_size=300).map(lambda some: some.hex().encode()), st.binary(max_size=40).map(bytes.hex))
@example(b"", "")
@example(b"x" * 125, "")
@example(b"x" * 126, "")
@example(b"x" * 65_535, "")
@example(b"x" * 65_536, "")
def test_text_frames_are_read_back(message: bytes, next_message: str) -> None:
    """Of any length, and the next frame begins where the last one ends."""
    stream = framing.text_frame(message) + framing.text_frame(next_message.encode())
    assert parsed(stream) == [Frame(Opcode.TEXT, message), Frame(Opcode.TEXT, next_message.encode())]


@pytest.mark.parametrize("code", sorted(protocol.REASONS))
def test_close_frames_say_their_code_and_why(code: int) -> None:
    (frame,) = parsed(protocol.close_frame(code))
    assert frame.opcode is Opcode.CLOSE
    assert Close.parse(frame.data) == Close(code, protocol.REASONS[code].decode())
