"""The generator for machines without wrk: asyncio protocols that parse only the status line and the length.

    python -m bench.load.raw URL CONNECTIONS SECONDS PLAN-AS-JSON

A separate process. Requests are one concatenation each, replies are not decoded. Prints what wrk.lua prints.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

from bench.load import Plan

_LENGTH = b"content-length:"


class Requests:
    """Requests as bytes, one after the other."""

    def __init__(self, plan: Plan, host: str) -> None:
        tokens = Path(plan.tokens_file).read_text().split() if plan.tokens_file else [""]
        paths = Path(plan.paths_file).read_text().split() if plan.paths_file else [plan.path]
        self._heads = itertools.cycle([_head(plan, path, host, token) for token in tokens for path in paths])
        self._actions = plan.actions
        self._prefix = plan.prefix
        self._numbers = itertools.count()

    def next(self) -> bytes:
        head = next(self._heads)
        if not self._actions:
            return head + b"\r\n"
        body = self._body().encode()
        return b"%bContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (head, len(body), body)

    def _body(self) -> str:
        if self._actions == 1:
            return self._action()
        return '{"actions":[' + ",".join(self._action() for _ in range(self._actions)) + "]}"

    def _action(self) -> str:
        return f'{{"action_type":"lesson","action_identifier":"{self._prefix}{next(self._numbers)}"}}'


def _head(plan: Plan, path: str, host: str, token: str) -> bytes:
    lines = [f"{plan.method} {path} HTTP/1.1", f"Host: {host}", *plan.headers]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    return ("\r\n".join(lines) + "\r\n").encode()


class Tally:
    """The results of all connections. Latencies are in seconds."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.errors = 0
        self.over = False

    def result(self, seconds: float) -> str:
        ordered = sorted(self.latencies) or [0.0]
        p50, p99 = (1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.99))
        return json.dumps(
            {"requests": len(self.latencies), "seconds": seconds, "errors": self.errors, "p50": p50, "p99": p99}
        )


class Asker(asyncio.Protocol):
    """One connection: send, wait for the whole reply, send again."""

    def __init__(self, draw: Callable[[], bytes], tally: Tally) -> None:
        self._draw = draw
        self._tally = tally
        self._missing = -1
        self._received = b""
        self._sent_at = 0.0
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        self._tally.errors += not self._tally.over

    def data_received(self, data: bytes) -> None:
        if self._missing < 0:
            self._received += data
            if not self._begun():
                return
        else:
            self._missing -= len(data)
        if self._missing == 0:
            self._answered()

    def _begun(self) -> bool:
        """Return whether the head has arrived; then the missing length of the body is known."""
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return False
        if self._received[9:10] > b"3":
            self._tally.errors += 1
        head = self._received[:end].lower()
        at = head.find(_LENGTH)
        length = 0 if at < 0 or head[9:12] == b"304" else int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0])
        self._missing = end + 4 + length - len(self._received)
        return True

    def _answered(self) -> None:
        if self._tally.over:
            return
        self._tally.latencies.append(time.perf_counter() - self._sent_at)
        self._missing, self._received = -1, b""
        self._send()

    def _send(self) -> None:
        assert self._transport is not None
        self._sent_at = time.perf_counter()
        self._transport.write(self._draw())


async def main(url: str, connections: int, seconds: float, plan: Plan) -> None:
    place = urlsplit(url)
    draw, tally = Requests(plan, place.netloc).next, Tally()
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    for _ in range(connections):
        await loop.create_connection(lambda: Asker(draw, tally), place.hostname or "", place.port or 80)
    await asyncio.sleep(seconds)
    tally.over = True
    sys.stdout.write(f"RESULT {tally.result(time.perf_counter() - started)}\n")


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), Plan(**json.loads(sys.argv[4]))))
