"""`python -m tests.faults [--seed N] [--only WORDS]`: every row on the whole cluster, results to docs/faults.md."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

import uvloop
from deploy.cluster.layout import Layout
from deploy.cluster.supervisor import Supervisor
from rich.console import Console
from rich.table import Table

from tests.faults import report
from tests.faults.matrix import ROWS
from tests.faults.row import Row
from tests.faults.run import Outcome, run_row
from tests.faults.scene import Scene
from tests.support.folders import reachable
from tests.support.ports import free_block
from tests.support.server import CHORES, GENEROUS

ROW_SECONDS = 240.0
out = Console(width=None if sys.stdout.isatty() else 150)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--only", default="", help="rows whose name contains these words; writes no file")
    asked = parser.parse_args()
    rows = [row for row in ROWS if asked.only.lower() in row.name.lower()]
    out.print(f"seed {asked.seed}: the same seed plays the same rows in the same order")
    random.Random(asked.seed).shuffle(rows)
    with tempfile.TemporaryDirectory() as folder:
        supervisor = Supervisor(
            Layout(
                reachable(Path(folder)) / "cluster", free_block(), rate=20_000, settings=GENEROUS | CHORES, apart=True
            ),
            told=lambda words: out.print(f"[dim]{words}[/]"),
        )
        supervisor.layout.place("run")
        try:
            supervisor.up()
            outcomes = uvloop.run(_play(supervisor, rows, asked.seed))
            _show(outcomes)
            if not asked.only:
                report.write(outcomes, asked.seed)
        finally:
            supervisor.down()
    return 1 if any(outcome.broken for outcome in outcomes) else 0


async def _play(supervisor: Supervisor, rows: list[Row], seed: int) -> list[Outcome]:
    scene = Scene(supervisor)
    outcomes = []
    for number, row in enumerate(rows):
        started = time.monotonic()
        try:
            async with asyncio.timeout(ROW_SECONDS):
                outcome = await run_row(scene, row, seed, number)
        except (AssertionError, TimeoutError, OSError) as error:
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
