"""An open loop: requests are sent on a timetable, whether earlier ones were answered or not.

    python -m bench.load.open_loop URL CONNECTIONS SECONDS RATE PLAN-AS-JSON

A closed loop sends less while the server is slow and so omits the latencies that matter most (coordinated
omission). Here a request that finds no free connection waits, and its wait counts: latency runs from the moment at
which it was due. Only the slack of the generator's own timer, up to SLACK, is subtracted. Prints what wrk.lua prints.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import deque
from collections.abc import Callable
from urllib.parse import urlsplit

import uvloop

from bench.load import Plan
from bench.load.raw import Asker, Requests, Tally

TICK = 0.001
SLACK = 0.003
"""Seconds: one tick of a loop whose timers count milliseconds, plus scheduling."""
LAST_ANSWERS = 5.0
"""Seconds within which the last requests must be answered."""


class Timetable:
    """Request `n` is due at `start + n / rate`."""

    def __init__(self, rate: float, seconds: float) -> None:
        self.left = round(rate * seconds)
        self.due: deque[float] = deque()
        self._rate = rate
        self._next = 0
        self._start = time.perf_counter()

    def tick(self) -> None:
        """Add the requests that have become due to the queue."""
        now = time.perf_counter()
        while self._next < self.left and (due := self._start + self._next / self._rate) <= now:
            self.due.append(now if now - due < SLACK else due)
            self._next += 1

    @property
    def over(self) -> bool:
        return self._next >= self.left and not self.due


class Waiter(Asker):
    """A connection that sends on demand and counts from when the request was due."""

    def __init__(self, draw: Callable[[], bytes], tally: Tally, queue: deque[float], free: deque[Waiter]) -> None:
        super().__init__(draw, tally)
        self._queue = queue
        self._free = free

    def ask(self, due: float) -> None:
        super()._send()
        self._sent_at = due

    def _send(self) -> None:
        """Send the request that has waited longest."""
        if self._queue:
            self.ask(self._queue.popleft())
        else:
            self._free.append(self)


async def main(url: str, connections: int, seconds: float, rate: float, plan: Plan) -> None:
    place = urlsplit(url)
    draw, tally, free = Requests(plan, place.netloc).next, Tally(), deque[Waiter]()
    waiting: deque[float] = deque()
    loop = asyncio.get_running_loop()
    for _ in range(connections):
        await loop.create_connection(lambda: Waiter(draw, tally, waiting, free), place.hostname or "", place.port or 80)
    timetable = Timetable(rate, seconds)
    timetable.due = waiting
    started = time.perf_counter()
    while not timetable.over:
        timetable.tick()
        while waiting and free:
            free.popleft().ask(waiting.popleft())  # in turn, because a server closes idle connections
        await asyncio.sleep(TICK)
    ended = time.perf_counter()
    while len(free) < connections and time.perf_counter() - ended < LAST_ANSWERS:  # noqa: ASYNC110  the hot path sets no events
        await asyncio.sleep(TICK)
    tally.errors += connections - len(free)
    tally.over = True
    sys.stdout.write(f"RESULT {tally.result(ended - started)}\n")


if __name__ == "__main__":
    uvloop.run(
        main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]), Plan(**json.loads(sys.argv[5])))
    )
