"""Actions over live sockets, one a frame: raw sockets, frames built before, one epoll loop, results only counted.

    python -m bench.load.frames HOST PORT SECONDS PREFIX TOKENS-FILE

One socket for each token. Each keeps WINDOW actions unanswered. Prints {"results", "refused", "seconds"}.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from pathlib import Path

from .sockets import connect

WINDOW = 256
_RESULT = b'"type":"result"'
_REFUSED = b'"status":"refused"'


def _frame(message: bytes) -> bytes:
    """A text frame of a client, masked with zeros; messages here take two length bytes."""
    return b"\x81\xfe" + len(message).to_bytes(2, "big") + b"\0\0\0\0" + message


class Sender:
    """One socket and what it has sent. A result is recognised by its bytes; none is cut by more than KEEP."""

    KEEP = max(len(_RESULT), len(_REFUSED)) - 1

    def __init__(self, opened: socket.socket, prefix: str) -> None:
        self.opened = opened
        self.results = self.refused = 0
        self._sent = 0
        self._prefix = prefix.encode()
        self._tail = b""
        self._unsent = b""

    def push(self) -> None:
        """Fill the window."""
        wanted = self.results + WINDOW - self._sent
        if wanted <= 0 and not self._unsent:
            return
        data = self._unsent + b"".join(self._next() for _ in range(max(0, wanted)))
        try:
            sent = self.opened.send(data)
        except BlockingIOError:
            sent = 0
        self._unsent = data[sent:]

    def pull(self) -> None:
        data = self.opened.recv(262_144)
        if not data:
            raise ConnectionError("the server closed the socket")
        self.results += self._count(_RESULT, data)
        self.refused += self._count(_REFUSED, data)
        self._tail = data[-self.KEEP :]

    def _count(self, word: bytes, data: bytes) -> int:
        """Occurrences that end in `data`."""
        return (self._tail[-(len(word) - 1) :] + data).count(word)

    def _next(self) -> bytes:
        self._sent += 1
        action = b'{"action_type":"lesson","action_identifier":"%b-%d","metadata":{"n":1}}' % (self._prefix, self._sent)
        message = b'{"type":"complete","id":%d,"action":%b}' % (self._sent, action)
        return _frame(message.ljust(126))


def main(host: str, port: int, seconds: float, prefix: str, tokens: list[str]) -> None:
    poll, senders = select.epoll(), {}
    for token in tokens:
        says = json.dumps({"type": "authenticate", "token": token}).encode()
        opened, _ = connect(host, port, "/api/live", _frame(says))
        senders[opened.fileno()] = Sender(opened, prefix)
        poll.register(opened.fileno(), select.EPOLLIN)
    began = time.monotonic()
    for sender in senders.values():
        sender.push()
    while time.monotonic() - began < seconds:
        for number, _ in poll.poll(0.1):
            senders[number].pull()
            senders[number].push()
    took = time.monotonic() - began
    results, refused = sum(s.results for s in senders.values()), sum(s.refused for s in senders.values())
    print(json.dumps({"results": results, "refused": refused, "seconds": took}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4], Path(sys.argv[5]).read_text().split())
