"""Input and output of a simulation. All times are in seconds."""

from __future__ import annotations

import msgspec

MAX_ARRIVALS = 2_000_000
"""Limit of one simulation: more would take minutes and gigabytes, and add no information."""


class Unusable(ValueError):
    """The input can't be simulated; the message says what to change."""


class Costs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The cost of each step. The defaults were measured by `python -m bench.costs` on the machine of
    docs/scale.md, those of Redis by `python -m bench --only shared_index`.

    On the node's core: `request` (HTTP, token, limits, decoding, reply), `batch` and `action` (rules, arguments, index
    in memory). In PostgreSQL: `statements` per batch and `row` per action. `flush` is one fsync of the WAL,
    `round_trip` the network time of a statement. In Redis: `call` per batch and `change` per action. `asking` is the
    time of the load generator's one thread per request; 0 when it runs elsewhere.
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
        """Return the costs on cores that are so many times slower; network and disk stay the same."""
        own = {name: getattr(self, name) for name in self.__struct_fields__}
        kept = {"flush", "round_trip"}
        return Costs(**{name: value if name in kept else value * times for name, value in own.items()})


class Shape(msgspec.Struct, frozen=True):
    """The servers. `machine_cores` > 0 puts everything on one machine of so many cores; else each part has its own.

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
    """The load, spread over the nodes in turn: a Poisson process of `rate` requests a second, or, when that is 0,
    `connections` that each wait for their answer before the next request. `actions` are sent in each request.

    `users` take part, all equally likely. `warm_up` precedes the `seconds` that are measured.
    """

    rate: float = 0.0
    connections: int = 0
    actions: int = 1
    users: int = 1_000_000
    seconds: float = 5.0
    warm_up: float = 1.0


class Outcome(msgspec.Struct, frozen=True):
    """The result. Counts are of the whole run, the rest is of the measured time. Latencies are of answered requests.

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
        """Return the part with the highest utilisation."""
        return max(self.busy, key=lambda part: self.busy[part])


def check(shape: Shape, load: Load) -> None:
    """Check the input. Raises Unusable."""
    if bool(load.rate) == bool(load.connections):
        raise Unusable("give either a rate or a number of connections")
    if load.rate * (load.seconds + load.warm_up) > MAX_ARRIVALS:
        raise Unusable(f"more than {MAX_ARRIVALS:,} requests: simulate fewer seconds")
    if load.actions > min(shape.batch_limit, shape.queue_limit):
        raise Unusable("one request has more actions than a batch or the queue can hold")
