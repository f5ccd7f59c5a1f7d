"""Arrivals, the tally, and one run from the first arrival to the last answer."""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable

from .clock import Clock, Process
from .model import Costs, Load, Outcome, Shape, check
from .service import Shared, SimulatedNode, SimulatedRequest

RETRY_AFTER = 1.0
"""Retry-After of a refusal in seconds, which a connection of the closed loop honours."""


class _Tally:
    """Counts, and figures between the end of the warm-up and the end of the arrivals."""

    def __init__(self, load: Load) -> None:
        self.begins = load.warm_up
        self.ends = load.warm_up + load.seconds
        self.arrived = self.answered = self.refused = 0
        self.actions = self.refused_then = self.arrived_then = 0
        self.latencies = array("d")
        self.served_area = 0.0
        """The seconds that requests spent in the service within the measured time."""

    def note(self, request: SimulatedRequest) -> None:
        self.answered += not request.refused
        self.refused += request.refused
        self.served_area += max(0.0, min(request.answered, self.ends) - max(request.arrived, self.begins))
        if self.begins <= request.arrived < self.ends:
            self.arrived_then += 1
            self.refused_then += request.refused
            if not request.refused:
                self.latencies.append(request.answered - request.arrived)
        if not request.refused and self.begins <= request.answered < self.ends:
            self.actions += len(request.users)


class _Run:
    def __init__(
        self, costs: Costs, shape: Shape, load: Load, seed: int, watch: Callable[[SimulatedRequest], None]
    ) -> None:
        self.clock = Clock()
        self.shared = Shared(self.clock, costs, shape)
        self.nodes = [SimulatedNode(self.shared) for _ in range(shape.nodes)]
        self.tally = _Tally(load)
        self.marks: list[dict[str, float]] = []
        self._load = load
        self._chance = random.Random(seed)
        self._watch = watch

    def begin(self) -> None:
        for moment in (self.tally.begins, self.tally.ends):
            self.clock.after(moment, self._mark)
        if self._load.rate:
            self.clock.start(self._arrivals())
        for _ in range(self._load.connections):
            self.clock.start(self._connection())

    def _arrivals(self) -> Process:
        while True:
            yield self.clock.sleep(self._chance.expovariate(self._load.rate))
            if self.clock.now >= self.tally.ends:
                return
            self.clock.start(self._one())

    def _connection(self) -> Process:
        while self.clock.now < self.tally.ends:
            request = self._request()
            yield from self._serve(request)
            if request.refused:
                yield self.clock.sleep(RETRY_AFTER)

    def _one(self) -> Process:
        yield from self._serve(self._request())

    def _request(self) -> SimulatedRequest:
        self.tally.arrived += 1
        users = [self._chance.randrange(self._load.users) for _ in range(self._load.actions)]
        return SimulatedRequest(self.tally.arrived, users, self.clock.now)

    def _serve(self, request: SimulatedRequest) -> Process:
        if self.shared.costs.asking:
            yield self.shared.generator.work(self.shared.costs.asking)
        yield from self.nodes[request.number % len(self.nodes)].handle(request)
        self.tally.note(request)
        self._watch(request)

    def _mark(self) -> None:
        """Record the work of each part so far."""
        for node in self.nodes:
            node.settle()
        shared = self.shared
        self.marks.append(
            {
                "node": max(node.core.worked for node in self.nodes),
                "database": shared.database.worked / shared.database.count,
                "disk": shared.disk.worked,
                "redis": shared.redis.worked,
                "generator": shared.generator.worked,
                "queued": sum(node.queued_area for node in self.nodes),
                "batches": sum(node.batches for node in self.nodes),
            }
        )


def simulate(
    costs: Costs, shape: Shape, load: Load, *, seed: int = 1, watch: Callable[[SimulatedRequest], None] = lambda _: None
) -> Outcome:
    """Simulate `load` on `shape`; `watch` receives each request when it is answered or refused.

    Arrivals end with the measured time; requests in flight are still served. Raises Unusable.
    """
    check(shape, load)
    run = _Run(costs, shape, load, seed, watch)
    run.begin()
    run.clock.run()
    return _outcome(run, load)


def _outcome(run: _Run, load: Load) -> Outcome:
    tally, seconds = run.tally, load.seconds
    begin, end = run.marks
    spent = {part: (end[part] - begin[part]) / seconds for part in begin}
    batches, queued = spent.pop("batches") * seconds, spent.pop("queued")
    if run.shared.machine:
        spent["machine"] = spent.pop("database")
    ordered = sorted(tally.latencies) or [0.0]
    return Outcome(
        arrived=tally.arrived,
        answered=tally.answered,
        refused=tally.refused,
        actions_per_second=tally.actions / seconds,
        refused_share=tally.refused_then / max(1, tally.arrived_then),
        batch_mean=tally.actions / batches if batches else 0.0,
        latency_mean=sum(ordered) / len(ordered),
        latency_p50=ordered[len(ordered) // 2],
        latency_p99=ordered[int(len(ordered) * 0.99)],
        in_service_mean=tally.served_area / seconds,
        queue_mean=queued,
        queue_most=max(node.queued_most for node in run.nodes),
        busy=spent,
    )
