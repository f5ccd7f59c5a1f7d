"""Actions over one live socket: `complete` frames, as many unanswered as the protocol allows.

    python -m bench.load.stream HOST PORT TOKEN SECONDS PREFIX

A blocking socket, frames masked with zeros, answers counted by their headers and searched for one word. Prints what
wrk.lua prints; latencies are 0, because the window determines them.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time

WINDOW = 512
LEAST = 64
"""Frames that are sent together when so many answers have arrived."""
DONE = b'"status":"awarded"'
RESULT = b'{"type":"result"'
_MASKED_TEXT = b"\x81"


class Stream:
    """The socket after its handshake."""

    def __init__(self, host: str, port: int, token: str) -> None:
        self._socket = socket.create_connection((host, port), timeout=20)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines = [
            "GET /api/live HTTP/1.1",
            f"Host: {host}:{port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: bGF1cmVscyBiZW5jaCBrZQ==",
            f"Sec-WebSocket-Protocol: laurels.v1, laurels.token.{token}",
        ]
        self._socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self._pending = b""
        while b"\r\n\r\n" not in self._pending:
            self._pending += self._receive()
        head, _, self._pending = self._pending.partition(b"\r\n\r\n")
        if b" 101 " not in head.split(b"\r\n", 1)[0]:
            raise ConnectionError(f"no handshake: {head[:200]!r}")

    def send(self, numbers: range, prefix: str) -> None:
        self._socket.sendall(b"".join(_frame(number, prefix) for number in numbers))

    def results(self) -> tuple[int, int]:
        """Return (answers, of them not awarded) in the next data."""
        data = self._pending + self._receive()
        answers = refused = at = 0
        while (end := _frame_end(data, at)) is not None:
            payload = data[end[0] : end[1]]
            if payload.startswith(RESULT):
                answers += 1
                refused += DONE not in payload
            elif payload.startswith(b'{"type":"error"'):
                raise ConnectionError(payload.decode(errors="replace"))
            at = end[1]
        self._pending = data[at:]
        return answers, refused

    def _receive(self) -> bytes:
        data = self._socket.recv(262_144)
        if not data:
            raise ConnectionError("the socket was closed")
        return data


def _frame(number: int, prefix: str) -> bytes:
    action = f'{{"action_type":"lesson","action_identifier":"{prefix}{number}"}}'
    payload = f'{{"type":"complete","id":{number},"action":{action}}}'.encode()
    size = struct.pack("!B", 0x80 | len(payload)) if len(payload) < 126 else struct.pack("!BH", 0xFE, len(payload))
    return _MASKED_TEXT + size + b"\0\0\0\0" + payload


def _frame_end(data: bytes, at: int) -> tuple[int, int] | None:
    """Return (start, end) of the payload of the frame at `at`; None if it is incomplete."""
    if len(data) < at + 2:
        return None
    size, start = data[at + 1], at + 2
    if size >= 126:
        width = 2 if size == 126 else 8
        if len(data) < start + width:
            return None
        size, start = int.from_bytes(data[start : start + width], "big"), start + width
    return (start, start + size) if len(data) >= start + size else None


def main(host: str, port: int, token: str, seconds: float, prefix: str) -> None:
    stream = Stream(host, port, token)
    sent = answered = refused = 0
    started = time.perf_counter()
    ends = started + seconds
    while (now := time.perf_counter()) < ends or answered < sent:
        room = WINDOW - (sent - answered)
        if now < ends and room >= LEAST:
            stream.send(range(sent, sent + room), prefix)
            sent += room
        told, bad = stream.results()
        answered += told
        refused += bad
    spent = time.perf_counter() - started
    result = {"requests": answered, "seconds": spent, "errors": refused, "p50": 0.0, "p99": 0.0}
    sys.stdout.write(f"RESULT {json.dumps(result)}\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4]), sys.argv[5])
