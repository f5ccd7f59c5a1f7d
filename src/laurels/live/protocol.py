"""What a frame says and what a close code means. No sockets here.

Server to client, text frames of JSON:
    {"type": "board", …the members of GET /api/boards/{slug}…}   first, and whenever the top list changed
    {"type": "heartbeat"}                                        every HEARTBEAT seconds
Clients have nothing to say: whatever they send is refused.
"""

from __future__ import annotations

import struct

HEARTBEAT = 25.0
"""Seconds. A page can't see native pings, so this is how it knows that the socket lives."""

CLOSE_GOING_AWAY = 1001
CLOSE_UNEXPECTED = 1008
CLOSE_SLOW = 4008
CLOSE_UNKNOWN_BOARD = 4404

MAX_INCOMING = 4 * 1024
CONFLATE_BYTES = 32 * 1024
"""A reader with more than this unread in our buffer gets no further frame until it has read on, then the
newest one. One frame beyond it is the most a socket ever holds."""
SLOW_SECONDS = 10.0
"""A reader skipped for so long is closed with CLOSE_SLOW."""
SLOW_GRACE = 2.0
"""Seconds in which it may still read why, before the connection is cut."""

_TEXT = 0x81
_CLOSE = 0x88


def board_message(board: bytes) -> bytes:
    """The message that carries an encoded scoreboard (a JSON object)."""
    return b'{"type":"board",' + board[1:]


def text_frame(message: bytes) -> bytes:
    """An unmasked, uncompressed WebSocket text frame (RFC 6455, 5.2), built once for all sockets."""
    return _frame(_TEXT, message)


def close_frame(code: int) -> bytes:
    return _frame(_CLOSE, code.to_bytes(2, "big"))


HEARTBEAT_FRAME_MESSAGE = b'{"type":"heartbeat"}'


def _frame(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", opcode, size) + payload
    if size < 65_536:
        return struct.pack("!BBH", opcode, 126, size) + payload
    return struct.pack("!BBQ", opcode, 127, size) + payload
