"""`python -m bench`: measure, print the table, write RESULTS.md when everything was measured at full size."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import uvloop
from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from . import history, machine, report
from .measure import SMOKE, Row, Sizes, Tick
from .questions import Scene, questions, titles
from .stage import Stage, staged

app = App(name="python -m bench", help="Measure the cost of Laurels on this machine, each figure beside its floor.")
out = Console(width=None if sys.stdout.isatty() else 180)
err = Console(stderr=True)

Flag = Parameter(negative=())


@app.default
def bench(
    *,
    only: Annotated[Sequence[str], Parameter(consume_multiple=True)] = (),
    smoke: Annotated[bool, Flag] = False,
    large: Annotated[bool, Flag] = False,
    turns: int | None = None,
    seconds: float | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Measure and report. Exit code 1 when a measurement is broken or a proof fails, never because of a time.

    Parameters
    ----------
    only
        Questions to measure, by the names of their modules in bench/questions. Does not write RESULTS.md.
    smoke
        Tiny sizes: proves that the measurements work. Does not write RESULTS.md.
    large
        Also boards of 10,000,000 members and a ledger of 10,000,000 actions: half an hour and some 20 GB in addition.
    turns
        Number of turns of figure and floor.
    seconds
        Length of one turn of load.
    as_json
        Print JSON for machines.
    """
    strangers = [name for name in only if name not in questions()]
    if strangers:
        err.print(f"There is no question {strangers[0]!r}. Questions: {', '.join(questions())}.")
        return 2
    sizes = SMOKE if smoke else Sizes()
    if large:
        sizes = replace(sizes, members=(*sizes.members, 10_000_000), actions_each=10)
    sizes = replace(sizes, turns=turns or sizes.turns, seconds=seconds or sizes.seconds)
    return _run(list(only or questions()), sizes, as_json=as_json, write=not smoke and not only)


def _run(names: Sequence[str], sizes: Sizes, *, as_json: bool, write: bool) -> int:
    where, before = machine.describe(), history.last_run()
    answers, broken = _ask(names, sizes)
    run = report.Run(" ".join(["python -m bench", *sys.argv[1:]]), where, answers, titles())
    _tell(run, None if sizes.smoke else before, as_json=as_json)
    if broken:
        err.print(f"[bold red]Broken: {', '.join(broken)}.[/] Nothing was written.")
        return 1
    if write:
        report.write(run, before)
    return 0


def _ask(names: Sequence[str], sizes: Sizes) -> tuple[dict[str, list[Row]], list[str]]:
    """Return the rows by question, and the questions that failed, which have no rows."""
    _allow_many_sockets()
    answers: dict[str, list[Row]] = {}
    broken: list[str] = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with (
        Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress,
        staged(sparing=sizes.smoke) as stage,
    ):
        task = progress.add_task("", total=len(names))
        for name in names:
            started = time.monotonic()
            try:
                answers[name] = _answer(name, stage, sizes, lambda text: progress.update(task, description=text))
            except Exception:  # noqa: BLE001  one broken question must not hide the others
                traceback.print_exc()
                broken.append(name)
            progress.advance(task)
            if not err.is_terminal:
                err.print(f"{name}: {time.monotonic() - started:.1f} s", highlight=False)
    return answers, broken


def _answer(name: str, stage: Stage, sizes: Sizes, tick: Tick) -> list[Row]:
    return uvloop.run(questions()[name](Scene(stage, sizes, tick, err.print)))


def _tell(run: report.Run, before: history.LastRun | None, *, as_json: bool) -> None:
    if as_json:
        out.print_json(json.dumps(report.for_machines(run)))
        return
    for name, value in run.machine.items():
        out.print(f"{name}: {value}", highlight=False)
    out.print(report.for_terminal(run))
    if before is not None:
        out.print("\n".join(report.moved(run, before)), markup=False, highlight=False)


def _allow_many_sockets() -> None:
    """Raise the limit of open files, which children inherit: thousands of sockets need more than the usual 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(app(result_action="return_value"))
