"""Predict throughput and latency at a rate, from a queueing model (`bench/simulation/`) with measured costs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import App, Parameter
from cyclopts.validators import Number
from rich.console import Console
from rich.progress import track
from rich.table import Table

from .simulation import Comparison, Costs, Load, Measured, Outcome, Run, Shape, Unusable, compare, simulate

EXAMPLES = (
    "--rates 500 1000 2000",
    "--rates 10000 --nodes 8 --redis --database-cores 16",
    "--connections 1 8 64 256 --machine-cores 2",
    "--costs costs.json --rates 2000 --json",
    "--compare costs.json",
)
app = App(
    name="python -m bench.simulate",
    help_epilogue="Examples:\n\n" + "\n".join(f"* `python -m bench.simulate {line}`" for line in EXAMPLES),
)
out = Console()
err = Console(stderr=True)

QUIET = 0.9
"""Share of the machine that a measured run must have had for its comparison to be reliable."""


def _count(help_text: str, most: int = 1_000, least: int = 1) -> Parameter:
    return Parameter(help=help_text, validator=Number(gte=least, lte=most))


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """The load. Each rate and each number of connections is a separate run."""

    rates: Annotated[
        Sequence[float],
        Parameter(
            help="Requests a second, in a Poisson process.",
            consume_multiple=True,
            negative=(),
            validator=Number(gt=0, lte=1_000_000),
        ),
    ] = ()
    connections: Annotated[
        Sequence[int],
        Parameter(
            help="Connections that each send their next request when the last one is answered.",
            consume_multiple=True,
            negative=(),
            validator=Number(gte=1, lte=100_000),
        ),
    ] = ()
    actions: Annotated[int, _count("Actions in each request.")] = 1
    users: Annotated[
        int, _count("Users taking part. Batches that have a user in common wait for each other.", 1_000_000_000)
    ] = 1_000_000
    seconds: Annotated[
        float,
        Parameter(
            help="Simulated time that is measured, after one second of warm-up.", validator=Number(gt=0, lte=600)
        ),
    ] = 5.0

    def loads(self) -> list[Load]:
        return [
            *(Load(rate, 0, self.actions, self.users, self.seconds) for rate in self.rates),
            *(Load(0.0, count, self.actions, self.users, self.seconds) for count in self.connections),
        ]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ShapeOptions:
    """The servers of the load."""

    nodes: Annotated[int, _count("Nodes on one PostgreSQL.")] = 1
    lanes: Annotated[int, _count("Batches in flight in each node.")] = 3
    queue_limit: Annotated[int, _count("Actions that wait in a node before it refuses more.", 1_000_000)] = 10_000
    batch_limit: Annotated[int, _count("Actions in one batch.", 1_000_000)] = 1_000
    database_cores: Annotated[int, _count("Cores of PostgreSQL's machine.")] = 8
    machine_cores: Annotated[
        int, _count("Run everything on one machine of so many cores; 0: each part has its own.", least=0)
    ] = 0
    redis: Annotated[bool, Parameter(help="Keep the index in Redis, as several nodes need it.", negative=())] = False


DEFAULT_LOAD, DEFAULT_SHAPE = LoadOptions(), ShapeOptions()


@app.default
def main(
    *,
    load: LoadOptions = DEFAULT_LOAD,
    shape: ShapeOptions = DEFAULT_SHAPE,
    seed: int = 1,
    costs: Path | None = None,
    compare_with: Annotated[Path | None, Parameter(name="--compare")] = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Predict throughput, batches, latency, queue and refusals at a rate. Needs no database and no clock.

    The costs of each part are those of the machine they were measured on (`python -m bench.costs --json`).

    Parameters
    ----------
    seed
        The same seed gives the same result.
    costs
        A file of `python -m bench.costs --json` to calculate with.
    compare_with
        Such a file: print how far the model is from what was measured then.
    as_json
        Print JSON for machines.
    """
    try:
        if compare_with:
            _print_comparisons(compare(_read(compare_with), seed=seed, seconds=load.seconds), as_json=as_json)
        else:
            prices = _read(costs).costs if costs else Costs()
            _print_runs(prices, Shape(**asdict(shape)), load.loads(), seed, as_json=as_json)
    except Unusable as error:
        err.print(str(error), soft_wrap=True, highlight=False, markup=False)
        return 2
    return 0


def _read(file: Path) -> Run:
    """Decode a file of `bench.costs`. Raises Unusable."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Run)
    except OSError as error:
        raise Unusable(f"can't read {file}: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise Unusable(f"{file} is not what `python -m bench.costs --json` writes: {error}") from error


def _print_runs(costs: Costs, shape: Shape, loads: Sequence[Load], seed: int, *, as_json: bool) -> None:
    if not loads:
        raise Unusable("say --rates or --connections, or --compare a measured run")
    runs = list(_runs(costs, shape, loads, seed))
    if as_json:
        _print_json({"costs": costs, "shape": shape, "seed": seed, "runs": runs})
    else:
        out.print(_table(runs))


def _runs(costs: Costs, shape: Shape, loads: Sequence[Load], seed: int) -> Iterator[tuple[Load, Outcome]]:
    shown = track(loads, description="simulating", console=err, transient=True, disable=not err.is_terminal)
    for load in shown:
        yield load, simulate(costs, shape, load, seed=seed)


def _table(runs: Iterable[tuple[Load, Outcome]]) -> Table:
    table = Table("asked", "done/s", "refused", "batch", "p50 ms", "p99 ms", "queue", "at most", "busiest")
    for load, outcome in runs:
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
    return table


def _print_comparisons(comparisons: Sequence[Comparison], *, as_json: bool) -> None:
    if as_json:
        _print_json(comparisons)
        return
    table = Table("connections", "machine", "", "actions/s", "batch", "p50 ms", "p99 ms")
    for item in comparisons:
        free = f"{item.measured.share:.0%} free"
        table.add_row(f"{item.measured.connections:,}", free, "measured", *_figures(item.measured))
        table.add_row("", "", "simulated", *_figures(item.simulated))
        table.add_row("", "", "off by", *(f"{share:+.0%}" for share in item.off.values()), end_section=True)
    out.print(table)
    worst = max(chain.from_iterable(map(abs, item.off.values()) for item in comparisons))
    out.print(f"Off by at most [bold]{worst:.0%}[/].", highlight=False)
    if min(item.measured.share for item in comparisons) < QUIET:
        out.print(
            "Other programs used the machine meanwhile, and how much they slowed the run is a guess: "
            "measure again on a quiet machine.",
            soft_wrap=True,
        )


def _figures(of: Measured) -> tuple[str, ...]:
    return (
        f"{of.actions_per_second:,.0f}",
        f"{of.batch_mean:.1f}",
        f"{1000 * of.latency_p50:.1f}",
        f"{1000 * of.latency_p99:.1f}",
    )


def _print_json(value: object) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value)).decode() + "\n")


if __name__ == "__main__":
    sys.exit(app(result_action="return_value"))
