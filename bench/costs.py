"""Measure the cost of each part of a complete on this machine, for `python -m bench.simulate`.

    python -m bench.costs --json > costs.json
    python -m bench.simulate --compare costs.json       compare the model with this measurement
    python -m bench.simulate --costs costs.json --rates 500 1000 2000

Runs use few and many connections, and one or a hundred actions per request. The proportions of requests, batches and
actions differ, so non-negative least squares over the CPU time of node and PostgreSQL gives the cost of each. No cost
is derived from a rate: that the model reaches the measured rates is its proof. Every run is proved before it counts.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import msgspec
import psutil
import uvloop
from cyclopts import App, Parameter

from laurels.config import Settings

from .load import Load, Plan, ask
from .measure import Sizes
from .proof import Claim, prove
from .questions import Scene
from .questions.asked import tokens_file
from .questions.writes import committed
from .simulation import Costs, Measured, Run
from .stage import Node, staged

app = App(name="python -m bench.costs", help=__doc__)

CONNECTIONS = (1, 8, 64, 256)
MANY = 100
"""Actions per request of the run that separates the cost of requests from that of actions."""
WARM_UP = 1.0
"""Seconds of warm-up before a run."""
PROBES = 300
GROWING = ("actions", "journal")
"""Tables that get rows for every action or batch."""
ROUNDS = 2_000
"""Steps of the descent: far more than two or three unknowns need."""


@dataclass(frozen=True, slots=True)
class Spent:
    """One run: its answers, its CPU seconds, and the share of the machine that was available to it."""

    connections: int
    load: Load
    requests: int
    batches: float
    actions: int
    node: float
    database: float
    generator: float
    share: float
    wal: float
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Found:
    """The result. `wal`: load -> bytes per action; `disk`: table with its indexes -> bytes per action."""

    run: Run
    wal: dict[str, float]
    disk: dict[str, float]


@app.default
def costs(
    *,
    seconds: float = 4.0,
    players: int = 5_000,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Measure, and print the input of `python -m bench.simulate`.

    Parameters
    ----------
    seconds
        Length of each of the five runs.
    players
        Number of distinct users.
    as_json
        Print JSON, for `python -m bench.simulate --costs` and `--compare`.
    """
    sizes = replace(Sizes(), seconds=seconds, players=players)
    with staged() as stage:
        found = uvloop.run(_measure(Scene(stage, sizes, _say, _say)))
    if as_json:
        more = {"wal_bytes_an_action": found.wal, "disk_bytes_an_action": found.disk}
        print(json.dumps({**msgspec.to_builtins(found.run), **more}, indent=1))
    else:
        for name, value in msgspec.to_builtins(found.run.costs).items():
            print(f"{name:34} {value * 1e6:10.1f} µs")
        for name, value in [*found.wal.items(), *found.disk.items()]:
            print(f"{name:34} {value:10.0f} bytes per action")
    return 0


def _say(words: str) -> None:
    print(words, file=sys.stderr)


async def _measure(scene: Scene) -> Found:
    async with scene.stage.node(players=scene.sizes.players) as node:
        tokens = tokens_file(scene.stage.folder, node)
        runs = [await _spent(scene, node, tokens, count, 1) for count in CONNECTIONS]
        many = await _spent(scene, node, tokens, 8, MANY)
        trip, disk = await _round_trip(node.database_url), await _disk(node.database_url)
    wal = {f"WAL, {r.connections} by {r.actions // r.requests}": r.wal / r.actions for r in [*runs, many]}
    run = Run(
        costs=_costs([*runs, many], _flush(scene.stage.folder), trip),
        machine_cores=os.cpu_count() or 1,
        lanes=Settings().lanes,
        measured=[_measured(run) for run in runs],
    )
    return Found(run, wal, disk)


async def _spent(scene: Scene, node: Node, tokens: str, connections: int, actions: int) -> Spent:
    path = "/api/actions/complete" if actions == 1 else "/api/actions/batch"
    plan = Plan("POST", path, actions, f"w{connections}-{actions}-", tokens)
    scene.tick(f"{connections} connections, {actions} actions per request")
    await ask(node.url, plan, connections=connections, seconds=min(WARM_UP, scene.sizes.seconds))
    plan = replace(plan, prefix=f"c{connections}-{actions}-")
    processes = [psutil.Process(node.pid)], await _backends(node.database_url)
    began_at = await _ask(node.database_url, "SELECT pg_current_wal_lsn() - '0/0'")
    begun, before = await committed(node), _seconds(*processes)
    load = await ask(node.url, plan, connections=connections, seconds=scene.sizes.seconds)
    after, ended = _seconds(*processes), await committed(node)
    ended_at = await _ask(node.database_url, "SELECT pg_current_wal_lsn() - '0/0'")
    await prove(node, Claim(plan.prefix, load.requests * actions, connections * actions))
    of_node, of_database, generator, busy, time_there = (now - then for now, then in zip(after, before, strict=True))
    return Spent(
        connections=connections,
        load=load,
        requests=load.requests,
        batches=ended[1] - begun[1],
        actions=round(ended[0] - begun[0]),
        node=of_node,
        database=of_database,
        generator=generator,
        share=min(1.0, 1 - (busy - of_node - of_database - generator) / time_there),
        wal=float(ended_at - began_at),
    )


def _costs(runs: Sequence[Spent], flush: float, round_trip: float) -> Costs:
    request, batch, action = least_squares(
        [(run.requests, run.batches, run.actions) for run in runs], [run.node for run in runs]
    )
    statements, row = least_squares([(run.batches, run.actions) for run in runs], [run.database for run in runs])
    busiest = runs[len(CONNECTIONS) - 1]
    asking = busiest.generator / busiest.requests
    return Costs(
        request=request,
        batch=batch,
        action=action,
        statements=statements,
        row=row,
        flush=flush,
        round_trip=round_trip,
        asking=asking,
    )


def least_squares(counts: Sequence[Sequence[float]], seconds: Sequence[float]) -> list[float]:
    """Return the non-negative costs with which `counts` take about `seconds`; all runs have the same weight."""
    rows = [[count / spent for count in line] for line, spent in zip(counts, seconds, strict=True)]
    unit = [max(row[column] for row in rows) for column in range(len(rows[0]))]
    scaled = [[value / most for value, most in zip(row, unit, strict=True)] for row in rows]
    found = [0.0] * len(unit)
    for _ in range(ROUNDS):
        for column in range(len(found)):
            left = [1 - sum(v * x for v, x in zip(row, found, strict=True)) for row in scaled]
            own = [row[column] for row in scaled]
            step = sum(v * rest for v, rest in zip(own, left, strict=True)) / sum(v * v for v in own)
            found[column] = max(0.0, found[column] + step)
    return [value / most for value, most in zip(found, unit, strict=True)]


def _measured(run: Spent) -> Measured:
    batch = run.actions / run.batches
    p50, p99 = run.load.p50 / 1000, run.load.p99 / 1000
    return Measured(run.connections, run.load.per_second, batch, p50, p99, run.share)


async def _backends(url: str) -> list[psutil.Process]:
    """Return PostgreSQL's processes: the parent and all its children."""
    connection = await asyncpg.connect(url)
    try:
        parent = psutil.Process(await connection.fetchval("SELECT pg_backend_pid()")).parent()
    finally:
        await connection.close()
    assert parent is not None
    return [parent, *parent.children()]


async def _ask(url: str, statement: str) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def _disk(url: str) -> dict[str, float]:
    actions = await _ask(url, "SELECT count(*) FROM actions")
    return {name: await _ask(url, f"SELECT pg_total_relation_size('{name}')") / actions for name in GROWING}


def _cpu(processes: Sequence[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def _seconds(node: Sequence[psutil.Process], database: Sequence[psutil.Process]) -> tuple[float, ...]:
    """Return CPU seconds so far: node, PostgreSQL, ended generators, all processes, and the total available."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    machine = psutil.cpu_times()
    idle = machine.idle + machine.iowait
    everything = sum(machine) - machine.guest - machine.guest_nice
    return _cpu(node), _cpu(database), children.ru_utime + children.ru_stime, everything - idle, everything


async def _round_trip(url: str) -> float:
    connection = await asyncpg.connect(url)
    spent = []
    for _ in range(PROBES):
        started = time.perf_counter()
        await connection.fetchval("SELECT 1")
        spent.append(time.perf_counter() - started)
    await connection.close()
    return statistics.median(spent)


def _flush(folder: Path) -> float:
    """Return the seconds of what PostgreSQL does at a COMMIT: overwrite 8 KiB, and fdatasync."""
    spent = []
    with (folder / "flush").open("wb", buffering=0) as file:
        file.write(bytes(8192))
        os.fsync(file.fileno())
        for _ in range(PROBES):
            started = time.perf_counter()
            file.seek(0)
            file.write(bytes(8192))
            os.fdatasync(file.fileno())
            spent.append(time.perf_counter() - started)
    return statistics.median(spent)


if __name__ == "__main__":
    sys.exit(app(result_action="return_value"))
