"""What is put in and what comes out. All times are in seconds."""

from __future__ import annotations

import msgspec

MAX_ARRIVALS = 2_000_000
"""Of one simulation: beyond that it would take minutes and gigabytes, and say nothing more."""


class Unusable(ValueError):
    """This can't be simulated; the message says what to change."""


class Costs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What each part of the way takes. The defaults were measured by `python -m bench.costs` on the machine of
    docs/scale.md, those of Redis by `python -m bench --only shared_index`.

    On the node's core: `request` (HTTP, token, limits, decoding, reply), `batch` and `action` (rules, arguments, index
    in memory). In PostgreSQL: `statements` a batch and `row` an action. `flush` is one fsync of the WAL, `round_trip`
    what a statement waits for the wire. In Redis: `call` a batch and `change` an action. `asking` is what the load
    generator's one thread needs for a request; 0 when it runs elsewhere.
    """

    request: float = 64e-6
    batch: float = 417e-6
    action: float = 14e-6
    statements: float = 412e-6
    row: float = 13e-6
    flush: float = 76e-6
    round_trip: float = 43e-6
    call: float = 30e-6
    change: float = 17e-6
    asking: float = 0.0

    def stretched(self, times: float) -> Costs:
        """On cores so many times slower; wire and disk stay as they are."""
        own = {name: getattr(self, name) for name in self.__struct_fields__}
        kept = {"flush", "round_trip"}
        return Costs(**{name: value if name in kept else value * times for name, value in own.items()})


class Shape(msgspec.Struct, frozen=True):
    """What serves. `machine_cores` > 0 puts everything on one machine of so many cores; else each part has its own.

    `redis`: the index is shared; without it, it is part of `Costs.action`.
    """

    nodes: int = 1
    lanes: int = 3
    queue_limit: int = 10_000
    batch_limit: int = 1_000
    database_cores: int = 8
    machine_cores: int = 0
    redis: bool = False


class Load(msgspec.Struct, frozen=True):
    """What arrives, spread over the nodes in turn: a Poisson process of `rate` requests a second, or, when that is 0,
    `connections` that each wait for their answer before they ask again. `actions` are sent in each request.

    `users` take part, each as likely as the other. `warm_up` goes before the `seconds` that are measured.
    """

    rate: float = 0.0
    connections: int = 0
    actions: int = 1
    users: int = 1_000_000
    seconds: float = 5.0
    warm_up: float = 1.0


class Outcome(msgspec.Struct, frozen=True):
    """What came of it. Counts are of the whole run, the rest of the measured time. Latencies of answered requests.

    `queue_mean` and `queue_most` count actions that wait for a lane, over all nodes. `busy`: part -> share of its
    capacity in use; the one nearest 1 is the limit.
    """

    arrived: int
    answered: int
    refused: int
    actions_per_second: float
    refused_share: float
    batch_mean: float
    latency_mean: float
    latency_p50: float
    latency_p99: float
    in_service_mean: float
    queue_mean: float
    queue_most: int
    busy: dict[str, float]

    @property
    def limit(self) -> str:
        """The part that is used most."""
        return max(self.busy, key=lambda part: self.busy[part])


def check(shape: Shape, load: Load) -> None:
    """Raises Unusable."""
    if bool(load.rate) == bool(load.connections):
        raise Unusable("say either a rate or a number of connections")
    if load.rate * (load.seconds + load.warm_up) > MAX_ARRIVALS:
        raise Unusable(f"more than {MAX_ARRIVALS:,} requests: simulate fewer seconds")
    if load.actions > min(shape.batch_limit, shape.queue_limit):
        raise Unusable("one request holds more actions than a batch or the queue takes")
