"""Nodes and their shared resources, as in `ledger/write/writer.py` and `ledger/write/batch.py`."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import partial

from .clock import Clock, Cores, Disk, Process, Resume, Rows, Thread
from .model import Costs, Shape

TRIPS = 2
"""Statements per batch: read and write."""
LANE_THRESHOLD = 32
WAKE_AFTER = 0.01
"""As in the writer: so many waiting actions start another lane, or so many seconds of waiting."""


@dataclass(slots=True)
class SimulatedRequest:
    """One request. `batch` numbers the node's batches; `refused` requests have none."""

    number: int
    users: list[int]
    arrived: float
    answered: float = 0.0
    batch: int = 0
    refused: bool = False


class Shared:
    """Resources shared by all nodes: PostgreSQL with its rows and its disk, Redis, and possibly the machine."""

    def __init__(self, clock: Clock, costs: Costs, shape: Shape) -> None:
        self.clock = clock
        self.costs = costs
        self.shape = shape
        self.machine = Cores(clock, shape.machine_cores) if shape.machine_cores else None
        self.database = self.machine or Cores(clock, shape.database_cores)
        self.redis = self.thread()
        self.generator = self.thread()
        self.disk = Disk(clock, costs.flush)
        self.rows = Rows()

    def thread(self) -> Thread:
        return Thread(self.machine or Cores(self.clock, 1))


class SimulatedNode:
    """A core, a bounded queue, and lanes that take their share of the queue as soon as they are free.

    While a lane is busy, another one starts only for a batch that is worth it, as in the writer.
    """

    def __init__(self, shared: Shared) -> None:
        self.batches = 0
        self.queued = 0
        self.queued_most = 0
        self.queued_area = 0.0
        self._touched = 0.0
        self.core = shared.thread()
        self._shared = shared
        self._queue: deque[tuple[SimulatedRequest, Resume]] = deque()
        self._idle: deque[Resume] = deque()
        self._at_work = 0
        self._patient = False
        for _ in range(shared.shape.lanes):
            shared.clock.start(self._lane())

    def handle(self, request: SimulatedRequest) -> Process:
        """Process a request from its first byte to its answer."""
        half = self._shared.costs.request / 2
        yield self.core.work(half)
        if self.queued + len(request.users) > self._shared.shape.queue_limit:
            request.refused = True
        else:
            yield partial(self._enqueue, request)
        yield self.core.work(half)
        request.answered = self._shared.clock.now

    def settle(self) -> None:
        """Update the integral of the queue's length up to now."""
        now = self._shared.clock.now
        self.queued_area += self.queued * (now - self._touched)
        self._touched = now

    def _enqueue(self, request: SimulatedRequest, resume: Resume) -> None:
        self._queue.append((request, resume))
        self._count(len(request.users))
        self._wake_one_if_worth_it()

    def _wake_one_if_worth_it(self) -> None:
        if not self._at_work or self.queued >= LANE_THRESHOLD:
            self._wake_one()
        elif not self._patient:
            self._patient = True
            self._shared.clock.after(WAKE_AFTER, self._wake_after_waiting)

    def _wake_after_waiting(self) -> None:
        self._patient = False
        if self._queue:
            self._wake_one()

    def _wake_one(self) -> None:
        if self._idle:
            self._idle.popleft()()

    def _count(self, actions: int) -> None:
        self.settle()
        self.queued += actions
        self.queued_most = max(self.queued_most, self.queued)

    def _lane(self) -> Process:
        while True:
            if not self._queue:
                yield self._idle.append
            entries = self._take()
            if not entries:
                continue
            users = [user for request, _ in entries for user in request.users]
            self._at_work += 1
            yield from self._commit(users)
            yield from self._project(len(users))
            self._at_work -= 1
            for _, resume in entries:
                resume()

    def _take(self) -> list[tuple[SimulatedRequest, Resume]]:
        entries: list[tuple[SimulatedRequest, Resume]] = []
        taken = 0
        shape = self._shared.shape
        share = min(shape.batch_limit, max(LANE_THRESHOLD, -(-self.queued // shape.lanes)))
        while self._queue and (not entries or taken + len(self._queue[0][0].users) <= share):
            entries.append(self._queue.popleft())
            taken += len(entries[-1][0].users)
        self._count(-taken)
        if entries:
            self.batches += 1
        for request, _ in entries:
            request.batch = self.batches
        if self._queue:
            self._wake_one_if_worth_it()
        return entries

    def _commit(self, users: list[int]) -> Process:
        """Read, judge, write. Batches that share a user run one after the other, until the flush is done."""
        costs, shared = self._shared.costs, self._shared
        rows = sorted(set(users))
        yield from shared.rows.lock(rows)
        yield from self._ask((costs.statements + costs.row * len(users)) / 3)
        yield self.core.work(costs.action * len(users))
        yield from self._ask(2 * (costs.statements + costs.row * len(users)) / 3)
        yield shared.disk.flush
        shared.rows.release(rows)

    def _ask(self, seconds: float) -> Process:
        """Run one statement: the node's core sends it, the network carries it, a core of PostgreSQL executes it."""
        costs = self._shared.costs
        yield self.core.work(costs.batch / TRIPS)
        yield self._shared.clock.sleep(costs.round_trip)
        yield self._shared.database.work(seconds)

    def _project(self, actions: int) -> Process:
        if self._shared.shape.redis:
            costs = self._shared.costs
            yield self._shared.clock.sleep(costs.round_trip)
            yield self._shared.redis.work(costs.call + costs.change * actions)
