"""`python -m tests.faults [--seed N] [--only WORDS]`: every row, results to docs/faults.md.

Most are played on the whole cluster; the wire to the database and its disk on small scenes, one a row.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import uvloop
from deploy.cluster.layout import Layout
from deploy.cluster.part import Unhealthy
from deploy.cluster.supervisor import Failed, Supervisor
from rich.console import Console
from rich.table import Table

from tests.edge.conftest import Edge
from tests.faults import report
from tests.faults.disk import DISK_ROW, DiskScene, NoDisk, ledger_on, small_disk
from tests.faults.matrix import ROWS
from tests.faults.report import SMALL_ROWS
from tests.faults.row import Row
from tests.faults.run import Outcome, run_row
from tests.faults.scene import Scene
from tests.faults.small import SmallScene, database_wire
from tests.support.folders import reachable
from tests.support.ports import free_block
from tests.support.postgres import Cluster
from tests.support.server import CHORES, GENEROUS

ROW_SECONDS = 240.0
out = Console(width=None if sys.stdout.isatty() else 150)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--only", default="", help="rows whose name contains these words")
    asked = parser.parse_args()
    out.print(f"seed {asked.seed}: the same seed plays the same rows in the same order")
    dice = random.Random(asked.seed)
    large, small = _chosen(ROWS, asked.only, dice), _chosen(SMALL_ROWS, asked.only, dice)
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as folder:
        place = reachable(Path(folder))
        if large:
            outcomes += _on_cluster(place, large, asked.seed)
        for row in small:
            outcomes += _on_small(place, row, asked.seed)
    _show(outcomes)
    report.write(outcomes, asked.seed)
    return 1 if any(outcome.broken for outcome in outcomes) else 0


def _chosen(rows: Sequence[Row], words: str, dice: random.Random) -> list[Row]:
    chosen = [row for row in rows if words.lower() in row.name.lower()]
    dice.shuffle(chosen)
    return chosen


def _on_cluster(place: Path, rows: list[Row], seed: int) -> list[Outcome]:
    layout = Layout(place / "cluster", free_block(), rate=20_000, settings=GENEROUS | CHORES, apart=True)
    supervisor = Supervisor(layout, report=lambda words: out.print(f"[dim]{words}[/]"))
    layout.place("run")
    try:
        supervisor.up()
        return uvloop.run(_play(Scene(supervisor), rows, seed))
    finally:
        supervisor.down()


def _on_small(place: Path, row: Row, seed: int) -> list[Outcome]:
    """A scene of its own for each row: it starts in seconds."""
    folder = Path(tempfile.mkdtemp(dir=place))
    try:
        if row is DISK_ROW:
            with small_disk(folder) as disk, ledger_on(disk) as database:
                return uvloop.run(_play_small(database, folder, row, seed, disk))
        with ledger_on(reachable(folder)) as database:
            return uvloop.run(_play_small(database, folder, row, seed))
    except NoDisk as reason:
        out.print(f"[yellow]not played:[/] {row.name}: {reason}")
        return []


async def _play_small(database: Cluster, folder: Path, row: Row, seed: int, disk: Path | None = None) -> list[Outcome]:
    edges: list[Edge] = []

    def open_edge(nodes: list[str]) -> Edge:
        layout = Layout(reachable(folder) / "edge", free_block(), rate=20_000)
        edges.append(Edge(layout, Supervisor(layout), nodes))
        edges[0].start()
        return edges[0]

    async with database_wire(database.url).running() as wire:
        scene = DiskScene(database, disk, wire, folder) if disk else SmallScene(database.url, wire, folder)
        try:
            await scene.open(open_edge)
            return await _play(scene, [row], seed)
        finally:
            await scene.close()
            for edge in edges:
                await asyncio.to_thread(edge.supervisor.stop, edge.part)


async def _play(scene: Scene | SmallScene, rows: list[Row], seed: int) -> list[Outcome]:
    outcomes = []
    for number, row in enumerate(rows):
        started = time.monotonic()
        try:
            async with asyncio.timeout(ROW_SECONDS):
                outcome = await run_row(scene, row, seed, number)
        except (AssertionError, TimeoutError, OSError, Failed, Unhealthy) as error:
            words = f"the row did not end: {error or type(error).__name__}"
            outcome = Outcome(row.name, 0, row.gap, 0, 0, broken=[words])
            await scene.mend()
        outcomes.append(outcome)
        verdict = "[red]BROKEN[/] " + "; ".join(outcome.broken) if outcome.broken else "[green]kept[/]"
        out.print(f"{row.name}: {outcome.acknowledged} acknowledged, gap {outcome.gap:.1f} s, {verdict}", end=" ")
        out.print(f"[dim]({time.monotonic() - started:.0f} s) {outcome.failures}[/]")
    return outcomes


def _show(outcomes: list[Outcome]) -> None:
    table = Table("fault", "acknowledged", "retried", "gap s", "allowed s", "promises")
    for one in outcomes:
        table.add_row(
            one.row, f"{one.acknowledged:,}", f"{one.retried:,}", f"{one.gap:.1f}", f"{one.allowed:.0f}",
            "[red]" + "; ".join(one.broken) if one.broken else "[green]kept",
        )  # fmt: skip
    out.print(table)


if __name__ == "__main__":
    sys.exit(main())
