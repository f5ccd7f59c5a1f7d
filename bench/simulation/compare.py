"""Compare a measured run with the model. Nothing is fitted to the rates: the only input is costs."""

from __future__ import annotations

import msgspec

from .model import Costs, Load, Shape
from .run import simulate

USERS = 5_000


class Measured(msgspec.Struct, frozen=True):
    """Figures of a real node under `connections`. Latencies in seconds.

    `share` is the part of the machine that no other program used meanwhile; the model's work is stretched by it.
    """

    connections: int
    actions_per_second: float
    batch_mean: float
    latency_p50: float
    latency_p99: float
    share: float = 1.0


class Run(msgspec.Struct, frozen=True):
    """The output of `python -m bench.costs --json`: the costs, their machine, and the rates it reached."""

    costs: Costs
    machine_cores: int
    lanes: int
    measured: list[Measured]


class Comparison(msgspec.Struct, frozen=True):
    """The comparison of one run. `off`: figure -> simulated / measured - 1."""

    measured: Measured
    simulated: Measured
    off: dict[str, float]


FIGURES = ("actions_per_second", "batch_mean", "latency_p50", "latency_p99")


def compare(run: Run, *, seed: int = 1, seconds: float = 5.0) -> list[Comparison]:
    """Return one comparison for each measured number of connections."""
    return [_compared(run, measured, seed, seconds) for measured in run.measured]


def _compared(run: Run, measured: Measured, seed: int, seconds: float) -> Comparison:
    shape = Shape(lanes=run.lanes, machine_cores=run.machine_cores)
    load = Load(connections=measured.connections, users=USERS, seconds=seconds)
    said = simulate(run.costs.stretched(1 / measured.share), shape, load, seed=seed)
    simulated = msgspec.structs.replace(measured, **{figure: getattr(said, figure) for figure in FIGURES})
    off = {figure: getattr(simulated, figure) / getattr(measured, figure) - 1 for figure in FIGURES}
    return Comparison(measured, simulated, off)
