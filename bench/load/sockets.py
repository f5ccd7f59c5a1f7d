"""Receivers that only count: raw sockets, the handshake by hand, one epoll loop, no decoding.

    python -m bench.load.sockets HOST PORT PATH COUNT FRAMES [FRAME]

Each sends FRAME (text of at most 125 bytes) after its handshake, to subscribe. Prints {"open", "seconds"}
(sockets, the time of all handshakes) when each has received FRAMES frames, then for every line on standard input
{"open", "bytes", "frames"} so far.
"""

from __future__ import annotations

import json
import resource
import select
import socket
import sys
import time
from dataclasses import dataclass

PONG = b"\x8a\x80\0\0\0\0"
PING = 0x89


@dataclass(slots=True)
class Receiver:
    """One socket; `missing` bytes of the current frame, `pending` the start of a header."""

    socket: socket.socket
    missing: int = 0
    pending: bytes = b""


class Counter:
    """Counts the frames of all receivers. Frames of the server are unmasked."""

    def __init__(self) -> None:
        self.bytes = 0
        self.frames = 0

    def take(self, receiver: Receiver, data: bytes) -> None:
        self.bytes += len(data)
        if receiver.missing >= len(data):
            receiver.missing -= len(data)
            return
        data = receiver.pending + data[receiver.missing :]
        receiver.missing, receiver.pending = 0, b""
        while data:
            size = frame_size(data)
            if size is None:
                receiver.pending = data
                return
            self._frame(receiver, data[0])
            receiver.missing = max(0, size - len(data))
            data = data[size:]

    def _frame(self, receiver: Receiver, first_byte: int) -> None:
        if first_byte == PING:
            receiver.socket.send(PONG)
            return
        self.frames += 1


def frame_size(data: bytes) -> int | None:
    """Return the size of header and payload; None if the header is incomplete."""
    if len(data) < 2:
        return None
    length = data[1] & 0x7F
    if length < 126:
        return 2 + length
    width = 2 if length == 126 else 8
    return 2 + width + int.from_bytes(data[2 : 2 + width], "big") if len(data) >= 2 + width else None


def connect(host: str, port: int, path: str, says: bytes, *, buffer: int = 0) -> tuple[socket.socket, bytes]:
    """Return a socket after its handshake, and the data after that. `buffer`: its receive buffer in bytes."""
    opened = socket.socket()
    opened.settimeout(10)
    if buffer:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    opened.connect((host, port))
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: bGF1cmVscyBiZW5jaCBrZQ==",
    ]
    opened.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    received = b""
    while b"\r\n\r\n" not in received:
        part = opened.recv(65_536)
        if not part:
            raise ConnectionError(f"no handshake: {received[:200]!r}")
        received += part
    head, _, rest = received.partition(b"\r\n\r\n")
    if b" 101 " not in head.split(b"\r\n", 1)[0]:
        raise ConnectionError(f"no handshake: {head[:200]!r}")
    opened.sendall(says)
    opened.setblocking(False)
    return opened, rest


def masked(text: str) -> bytes:
    """Return a client's text frame, masked with zeros."""
    message = text.encode()
    return bytes([0x81, 0x80 | len(message), 0, 0, 0, 0]) + message if message else b""


def main(host: str, port: int, path: str, count: int, frames: int, says: str = "") -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    poll, counter, receivers = select.epoll(), Counter(), {}
    frame, began = masked(says), time.monotonic()
    for _ in range(count):
        opened, rest = connect(host, port, path, frame)
        receivers[opened.fileno()] = receiver = Receiver(opened)
        poll.register(opened.fileno(), select.EPOLLIN)
        counter.take(receiver, rest)
    seconds = time.monotonic() - began
    while counter.frames < count * frames:
        _read(poll, counter, receivers, 0.25)
    print(json.dumps({"open": len(receivers), "seconds": seconds}), flush=True)
    poll.register(sys.stdin.fileno(), select.EPOLLIN)
    while _read(poll, counter, receivers, None):
        sys.stdin.readline()
        print(json.dumps({"open": len(receivers), "bytes": counter.bytes, "frames": counter.frames}), flush=True)


def _read(poll: select.epoll, counter: Counter, receivers: dict[int, Receiver], timeout: float | None) -> bool:
    """Read available data until a line arrives on standard input (True), or for `timeout` seconds."""
    while True:
        events = poll.poll(timeout)
        asked = False
        for number, _ in events:
            receiver = receivers.get(number)
            if receiver is None:
                asked = True
            elif data := _receive(receiver.socket):
                counter.take(receiver, data)
            else:
                poll.unregister(number)
                del receivers[number]
        if asked or timeout is not None:
            return True


def _receive(opened: socket.socket) -> bytes:
    try:
        return opened.recv(65_536)
    except ConnectionError:
        return b""


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5]), *sys.argv[6:])
