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

GOING_AWAY = 1001
NOTHING_TO_SAY = 1008
SLOW = 4008
NO_SUCH_BOARD = 4404

REASONS = {
    GOING_AWAY: b"come back later",
    NOTHING_TO_SAY: b"clients have nothing to say here",
    SLOW: b"read too slowly",
    NO_SUCH_BOARD: b"no such board",
}

MAX_INCOMING = 4 * 1024
SEND_BUFFER = 32 * 1024
"""What the kernel may hold for one socket (Linux doubles it, and counts overhead): some thirty frames. It is
the outbox: a reader for whom it overflows is behind. Left alone it grows to megabytes per stalled reader."""
SLOW_SECONDS = 10.0
"""A reader who is behind for so long is closed with SLOW."""
CLOSE_GRACE = 5.0
"""Seconds in which the other side may read why and answer, before the connection is cut."""
DEAD_SECONDS = 60.0
"""A peer that acknowledges nothing for so long is gone (the heartbeat is what it would acknowledge)."""

_TEXT = 0x81
_CLOSE = 0x88


def board_frame(board: bytes) -> bytes:
    """The frame that carries an encoded scoreboard (a JSON object)."""
    return text_frame(b'{"type":"board",' + board[1:])


def text_frame(message: bytes) -> bytes:
    """An unmasked, uncompressed WebSocket text frame (RFC 6455, 5.2), built once for all sockets."""
    return _frame(_TEXT, message)


def close_frame(code: int) -> bytes:
    return _frame(_CLOSE, code.to_bytes(2, "big") + REASONS[code])


def _frame(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", opcode, size) + payload
    if size < 65_536:
        return struct.pack("!BBH", opcode, 126, size) + payload
    return struct.pack("!BBQ", opcode, 127, size) + payload


HEARTBEAT_FRAME = text_frame(b'{"type":"heartbeat"}')
