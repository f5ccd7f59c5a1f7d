"""WebSocket frames as bytes (RFC 6455), the server's side. No sockets here.

Outgoing frames are built once and written to thousands of sockets, so they are plain bytes. Incoming frames are few
and small; `Decoder` refuses one that is too big before its payload has arrived.
"""

from __future__ import annotations

import base64
import hashlib
import struct

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

PROTOCOL_ERROR = 1002
NO_TEXT = 1003
NOT_UTF8 = 1007
TOO_BIG = 1009

MAX_FRAGMENTS = 32
"""Frames that one message may be split into."""

_FIN = 0x80
_RESERVED = 0x70
_MASKED = 0x80
_MAX_CONTROL = 125


class FrameError(Exception):
    """A frame that is malformed or not accepted; the connection is closed with `code`."""

    def __init__(self, code: int) -> None:
        super().__init__(str(code))
        self.code = code


def accept_key(key: str) -> str:
    """Return the Sec-WebSocket-Accept that answers a Sec-WebSocket-Key."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()  # noqa: S324  RFC 6455 prescribes it


def text_frame(message: bytes) -> bytes:
    """Return an unmasked, uncompressed text frame."""
    return frame(TEXT, message)


def close_frame(code: int, reason: bytes = b"") -> bytes:
    """Return a close frame; with its code, `reason` fits 125 bytes."""
    return frame(CLOSE, code.to_bytes(2, "big") + reason)


def frame(opcode: int, payload: bytes) -> bytes:
    """Return a final, unmasked frame."""
    size = len(payload)
    first = _FIN | opcode
    if size <= _MAX_CONTROL:
        return struct.pack("!BB", first, size) + payload
    if size < 65_536:
        return struct.pack("!BBH", first, 126, size) + payload
    return struct.pack("!BBQ", first, 127, size) + payload


PING_FRAME = frame(PING, b"")


class Decoder:
    """Decodes the frames of one client, one at a time: the caller decides how many it handles per turn of the loop."""

    __slots__ = ("_data", "_fragments", "_limit", "_message", "_start")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data = b""
        self._start = 0
        self._message = b""
        self._fragments = 0

    def feed(self, data: bytes) -> None:
        """Append what arrived; `next` decodes it."""
        self._data = self._data[self._start :] + data
        self._start = 0

    def next(self) -> tuple[int, bytes] | None:
        """Decode exactly one frame, or return None when no whole one is there.

        TEXT carries a whole message; CONTINUATION stands for a fragment that does not complete one and carries nothing;
        PING, PONG and CLOSE carry their payload. Raises FrameError, after which nothing more can be decoded.
        """
        found = self._frame(self._data, self._start)
        if found is None:
            self._data, self._start = self._data[self._start :], 0  # keep no bytes that are decoded
            return None
        first, payload, self._start = found
        opcode = first & 0x0F
        if opcode >= CLOSE:
            return opcode, payload
        return self._assemble(first, payload)

    def _frame(self, data: bytes, start: int) -> tuple[int, bytes, int] | None:
        """Return (first byte, payload, start of the next frame), or None when the frame has not arrived whole."""
        available = len(data) - start
        if available < 2:
            return None
        first, second = data[start], data[start + 1]
        size, head = second & 0x7F, 2
        if size == 126:
            head = 4
        elif size == 127:
            head = 10
        if available < head:
            return None
        if head > 2:
            size = int.from_bytes(data[start + 2 : start + head], "big")
        self._check(first, second, size)
        begin, end = start + head + 4, start + head + 4 + size
        if len(data) < end:
            return None
        return first, _unmasked(data[begin - 4 : begin], data[begin:end]), end

    def _check(self, first: int, second: int, size: int) -> None:
        """Raise FrameError by the header alone, before the payload has arrived."""
        opcode = first & 0x0F
        control = opcode >= CLOSE
        if first & _RESERVED or not second & _MASKED or (opcode not in _KNOWN):
            raise FrameError(PROTOCOL_ERROR)
        if control and (not first & _FIN or size > _MAX_CONTROL):
            raise FrameError(PROTOCOL_ERROR)
        if opcode == BINARY:
            raise FrameError(NO_TEXT)
        if not control and size + len(self._message) > self._limit:
            raise FrameError(TOO_BIG)

    def _assemble(self, first: int, payload: bytes) -> tuple[int, bytes]:
        if (first & 0x0F == CONTINUATION) != (self._fragments > 0):
            raise FrameError(PROTOCOL_ERROR)
        if first & _FIN:
            message = self._message + payload
            self._message, self._fragments = b"", 0
            return TEXT, message
        self._fragments += 1
        if self._fragments > MAX_FRAGMENTS:
            raise FrameError(TOO_BIG)
        self._message += payload
        return CONTINUATION, b""


_KNOWN = (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG)


def close_code(payload: bytes) -> int:
    """Return the code of a close frame, 1005 without one. Raises FrameError for a forbidden code or reason."""
    if not payload:
        return 1005
    code = int.from_bytes(payload[:2], "big")
    allowed = 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999
    if len(payload) < 2 or not allowed:
        raise FrameError(PROTOCOL_ERROR)
    try:
        payload[2:].decode()
    except UnicodeDecodeError as error:
        raise FrameError(NOT_UTF8) from error
    return code


def is_utf8(payload: bytes) -> bool:
    """Return whether the payload is UTF-8, as text frames must be."""
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def _unmasked(mask: bytes, payload: bytes) -> bytes:
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")).to_bytes(size, "little")
