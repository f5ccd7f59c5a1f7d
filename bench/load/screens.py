"""Screens that record when a board reached them: sockets as in `sockets`, and the time of every frame.

    python -m bench.load.screens HOST PORT COUNT

All follow the default board. Prints {"open"} when each has its first board, then for every line on standard input
{"open", "reached"}: each seq that arrived since the previous line, with the instant (seconds since 1970) at which the
last screen showed it, or a later one.
"""

from __future__ import annotations

import json
import re
import resource
import select
import socket
import sys
import time
from dataclasses import dataclass, field

from .sockets import PING, PONG, connect, frame_size, masked

FOLLOW = '{"type":"subscribe","channel":"board:points"}'
_SEQ = re.compile(rb'"seq":(\d+)')


@dataclass(slots=True)
class Screen:
    """One socket. `shown`: (seq, when), in order."""

    socket: socket.socket
    pending: bytes = b""
    shown: list[tuple[int, float]] = field(default_factory=list)


class Screens:
    def __init__(self) -> None:
        self.all: dict[int, Screen] = {}
        self._seqs: dict[bytes, int | None] = {}

    def take(self, screen: Screen, data: bytes) -> None:
        """Record the complete boards in the received data."""
        now, data = time.time(), screen.pending + data
        while (size := frame_size(data)) is not None and len(data) >= size:
            frame, data = data[:size], data[size:]
            if frame[0] == PING:
                screen.socket.send(PONG)
            elif (seq := self._seq(frame)) is not None:
                screen.shown.append((seq, now))
        screen.pending = data

    def _seq(self, frame: bytes) -> int | None:
        """Return the seq of a board frame; all screens get the same bytes, so each frame is parsed once."""
        if frame not in self._seqs:
            found = _SEQ.search(frame)
            self._seqs[frame] = None if found is None else int(found[1])
        return self._seqs[frame]

    def reached(self) -> dict[int, float]:
        """Return and clear the records that all screens have: seq -> when the last screen had it, or a later one."""
        seqs = sorted({seq for screen in self.all.values() for seq, _ in screen.shown}, reverse=True)
        last = dict.fromkeys(seqs, 0.0)
        for screen in self.all.values():
            shown, at = list(screen.shown), float("inf")
            for seq in seqs:
                while shown and shown[-1][0] >= seq:
                    at = shown.pop()[1]
                last[seq] = max(last[seq], at)
            screen.shown.clear()
        self._seqs.clear()
        return {seq: at for seq, at in last.items() if at != float("inf")}


def main(host: str, port: int, count: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    poll, screens = select.epoll(), Screens()
    for _ in range(count):
        opened, rest = connect(host, port, "/api/live", masked(FOLLOW))
        screen = screens.all[opened.fileno()] = Screen(opened)
        poll.register(opened.fileno(), select.EPOLLIN)
        screens.take(screen, rest)
    while not all(screen.shown for screen in screens.all.values()):
        _read(poll, screens, 0.25)
    print(json.dumps({"open": count}), flush=True)
    poll.register(sys.stdin.fileno(), select.EPOLLIN)
    while True:
        if _read(poll, screens, None) and not sys.stdin.readline():
            return
        print(json.dumps({"open": len(screens.all), "reached": screens.reached()}), flush=True)


def _read(poll: select.epoll, screens: Screens, timeout: float | None) -> bool:
    """Read available data until a line arrives on standard input (True), or once within `timeout` seconds."""
    while True:
        asked = False
        for number, _ in poll.poll(timeout):
            screen = screens.all.get(number)
            if screen is None:
                asked = True
            elif data := screen.socket.recv(65_536):
                screens.take(screen, data)
            else:
                poll.unregister(number)
                del screens.all[number]
        if asked or timeout is not None:
            return asked


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
