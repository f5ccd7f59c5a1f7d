"""The service as a queueing model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number
from rich.table import Table

from .. import simulation
from ..operations import CommandFailed
from ..simulation import Comparison, Costs, Load, Measured, Outcome, Run, Shape
from .app import JsonFlag, app, examples
from .output import bar, out, print_json, say

Rates = Annotated[Sequence[float], Parameter(consume_multiple=True, validator=Number(gt=0, lte=1_000_000))]
Connections = Annotated[Sequence[int], Parameter(consume_multiple=True, validator=Number(gte=1, lte=100_000))]
Count = Annotated[int, Parameter(validator=Number(gte=1, lte=1_000))]
Limit = Annotated[int, Parameter(validator=Number(gte=1, lte=1_000_000))]
Seconds = Annotated[float, Parameter(validator=Number(gt=0, lte=600))]
Flag = Annotated[bool, Parameter(negative=())]
QUIET = 0.9
"""Share of the machine that a run must have had for its comparison to mean much."""


@app.command(
    help_epilogue=examples(
        "laurels simulate --rates 500 1000 2000",
        "laurels simulate --rates 10000 --nodes 8 --redis --database-cores 16",
        "laurels simulate --connections 1 8 64 256 --machine-cores 2",
        "laurels simulate --costs costs.json --rates 2000 --json",
        "laurels simulate --compare costs.json",
    )
)
def simulate(
    *,
    rates: Rates = (),
    connections: Connections = (),
    nodes: Count = 1,
    lanes: Count = 3,
    batch_limit: Limit = 1_000,
    queue_limit: Limit = 10_000,
    database_cores: Count = 8,
    machine_cores: Annotated[int, Parameter(validator=Number(gte=0, lte=1_000))] = 0,
    redis: Flag = False,
    actions: Annotated[int, Parameter(validator=Number(gte=1, lte=1_000))] = 1,
    users: Annotated[int, Parameter(validator=Number(gte=1, lte=1_000_000_000))] = 1_000_000,
    seconds: Seconds = 5.0,
    seed: int = 1,
    costs: Path | None = None,
    compare: Path | None = None,
    json: JsonFlag = False,
) -> None:
    """What would happen at a rate: throughput, batches, latency, queue, refusals. Needs no database and no clock.

    Each part's costs are those of the machine they were measured on (`python -m bench.costs --json`): put yours in.

    Parameters
    ----------
    rates
        Requests a second in a Poisson process; one line of the table each.
    connections
        Connections that ask again once they are answered; one line each.
    nodes
        Nodes on one PostgreSQL.
    lanes
        Batches in flight in each node.
    batch_limit
        Actions in one batch.
    queue_limit
        Actions that wait in a node before it refuses.
    database_cores
        Cores of PostgreSQL's machine.
    machine_cores
        Everything shares one machine of so many cores, as on a laptop; 0: each part has its own.
    redis
        The index is shared, in Redis, as several nodes need it.
    actions
        Actions in each request.
    users
        How many take part: batches with a user in common wait for each other.
    seconds
        Simulated time that is measured, after one second of warm-up.
    seed
        The same seed gives the same answer.
    costs
        A file of `python -m bench.costs --json` to reckon with.
    compare
        Such a file, to see how far the model is from what was measured then.
    """
    if compare:
        _tell_comparison(simulation.compare(_read(compare), seed=seed, seconds=seconds), json)
        return
    prices = _read(costs).costs if costs else Costs()
    shape = Shape(nodes, lanes, queue_limit, batch_limit, database_cores, machine_cores, redis)
    loads = [
        *(Load(rate, 0, actions, users, seconds) for rate in rates),
        *(Load(0.0, count, actions, users, seconds) for count in connections),
    ]
    if not loads:
        raise CommandFailed("say --rates or --connections, or --compare a measured run")
    outcomes = list(_outcomes(prices, shape, loads, seed))
    if json:
        print_json({"costs": prices, "shape": shape, "seed": seed, "runs": outcomes})
    else:
        _tell(loads, [outcome for _, outcome in outcomes])


def _outcomes(costs: Costs, shape: Shape, loads: Sequence[Load], seed: int) -> Iterator[tuple[Load, Outcome]]:
    with bar() as progress:
        for load in progress.track(loads, description="simulating"):
            try:
                yield load, simulation.simulate(costs, shape, load, seed=seed)
            except simulation.Unusable as error:
                raise CommandFailed(str(error)) from error


def _read(file: Path) -> Run:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Run)
    except OSError as error:
        raise CommandFailed(f"can't read {file}: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise CommandFailed(f"{file} is not what `python -m bench.costs --json` writes: {error}") from error


def _tell(loads: Sequence[Load], outcomes: Sequence[Outcome]) -> None:
    table = Table("asked", "done/s", "refused", "batch", "p50 ms", "p99 ms", "queue", "at most", "busiest")
    for load, outcome in zip(loads, outcomes, strict=True):
        table.add_row(
            f"{load.rate:,.0f}/s" if load.rate else f"{load.connections:,} conn.",
            f"{outcome.actions_per_second:,.0f}",
            f"{outcome.refused_share:.1%}",
            f"{outcome.batch_mean:.1f}",
            f"{1000 * outcome.latency_p50:.1f}",
            f"{1000 * outcome.latency_p99:.1f}",
            f"{outcome.queue_mean:.1f}",
            f"{outcome.queue_most:,}",
            f"{outcome.limit}, {outcome.busy[outcome.limit]:.0%}",
        )
    out.print(table)


def _tell_comparison(comparisons: Sequence[Comparison], json: bool) -> None:
    if json:
        print_json(comparisons)
        return
    table = Table("connections", "machine", "", "actions/s", "batch", "p50 ms", "p99 ms")
    for item in comparisons:
        free = f"{item.measured.share:.0%} free"
        table.add_row(f"{item.measured.connections:,}", free, "measured", *_figures(item.measured))
        table.add_row("", "", "simulated", *_figures(item.simulated))
        table.add_row("", "", "off by", *(f"{share:+.0%}" for share in item.off.values()), end_section=True)
    out.print(table)
    worst = max(chain.from_iterable(map(abs, item.off.values()) for item in comparisons))
    say(f"Off by at most [bold]{worst:.0%}[/].")
    if min(item.measured.share for item in comparisons) < QUIET:
        say("Others used the machine meanwhile, and how they slowed it is a guess: measure again on a quiet one.")


def _figures(of: Measured) -> tuple[str, ...]:
    return (
        f"{of.actions_per_second:,.0f}",
        f"{of.batch_mean:.1f}",
        f"{1000 * of.latency_p50:.1f}",
        f"{1000 * of.latency_p99:.1f}",
    )
