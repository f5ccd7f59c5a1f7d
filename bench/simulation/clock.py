"""Simulated time. A process is a generator that yields what it waits for: a function that takes the continuation.

Events at the same instant run in the order in which they were scheduled, so that a run is reproducible.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Generator, Iterable
from functools import partial

Resume = Callable[[], None]
Wait = Callable[[Resume], None]
Process = Generator[Wait, None, None]


class Clock:
    """Events in the order of their time, O(log n) each."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Resume]] = []
        self._number = 0

    def after(self, seconds: float, event: Resume) -> None:
        self._number += 1
        heapq.heappush(self._due, (self.now + seconds, self._number, event))

    def sleep(self, seconds: float) -> Wait:
        return partial(self.after, seconds)

    def start(self, process: Process) -> None:
        """Run a process up to its first wait, and resume it after each wait."""
        wait = next(process, None)
        if wait is not None:
            wait(partial(self.start, process))

    def run(self) -> None:
        """Run until no event is due."""
        while self._due:
            self.now, _, event = heapq.heappop(self._due)
            event()


class Cores:
    """A number of servers with one queue."""

    def __init__(self, clock: Clock, count: int) -> None:
        self.count = count
        self.worked = 0.0
        self._clock = clock
        self._free = count
        self._line: deque[tuple[float, Resume]] = deque()

    def work(self, seconds: float) -> Wait:
        return partial(self._enter, seconds)

    def _enter(self, seconds: float, resume: Resume) -> None:
        if self._free:
            self._free -= 1
            self._begin(seconds, resume)
        else:
            self._line.append((seconds, resume))

    def _begin(self, seconds: float, resume: Resume) -> None:
        self.worked += seconds
        self._clock.after(seconds, partial(self._end, resume))

    def _end(self, resume: Resume) -> None:
        if self._line:
            self._begin(*self._line.popleft())
        else:
            self._free += 1
        resume()


class Thread:
    """A worker that does one thing at a time, on any free core."""

    def __init__(self, cores: Cores) -> None:
        self.worked = 0.0
        self._cores = cores
        self._busy = False
        self._line: deque[tuple[float, Resume]] = deque()

    def work(self, seconds: float) -> Wait:
        return partial(self._enter, seconds)

    def _enter(self, seconds: float, resume: Resume) -> None:
        self._line.append((seconds, resume))
        if not self._busy:
            self._next()

    def _next(self) -> None:
        self._busy = True
        seconds, resume = self._line.popleft()
        self.worked += seconds
        self._cores.work(seconds)(partial(self._end, resume))

    def _end(self, resume: Resume) -> None:
        self._busy = False
        if self._line:
            self._next()
        resume()


class Disk:
    """A disk with one flush at a time; arrivals meanwhile share the next, as commits of PostgreSQL do."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.worked = 0.0
        self._clock = clock
        self._seconds = seconds
        self._flushing = False
        self._waiting: list[Resume] = []

    def flush(self, resume: Resume) -> None:
        self._waiting.append(resume)
        if not self._flushing:
            self._begin()

    def _begin(self) -> None:
        self._flushing = True
        self.worked += self._seconds
        together, self._waiting = self._waiting, []
        self._clock.after(self._seconds, partial(self._end, together))

    def _end(self, together: list[Resume]) -> None:
        self._flushing = False
        if self._waiting:
            self._begin()
        for resume in together:
            resume()


class Rows:
    """Row locks, acquired in id order, so that there is no deadlock, and granted in order of arrival."""

    def __init__(self) -> None:
        self._held: dict[int, deque[Resume]] = {}

    def lock(self, users: Iterable[int]) -> Process:
        """Lock `users`, which are in ascending order and unique."""
        for user in users:
            if user in self._held:
                yield self._held[user].append
            else:
                self._held[user] = deque()

    def release(self, users: Iterable[int]) -> None:
        for user in users:
            waiting = self._held[user]
            if waiting:
                waiting.popleft()()
            else:
                del self._held[user]
