"""Report a run: on the terminal, as Markdown with charts, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from . import charts
from .history import LAST_RUN, LastRun
from .measure import Row, Spread

RESULTS = Path(__file__).with_name("RESULTS.md")
CHARTS = Path(__file__).with_name("charts")
COLUMNS = ("question", "figure: median (min-max)", "floor: median (min-max)", "ratio", "aim", "met")

_INTRODUCTION = """\
# Benchmark results

Written by `{command}`. Every figure stands beside its floor, the least that the same work costs with the same parts,
measured in turns in the same run: compare ratios between machines, not figures. After each write run the ledger,
the standings and the index were proved equal. [How it is measured](__init__.py); as JSON: [results.json](results.json).
"""


@dataclass(frozen=True, slots=True)
class Run:
    """A complete run. `answers`: name of a question -> its rows; `titles`: name -> its title."""

    command: str
    machine: Mapping[str, str]
    answers: Mapping[str, Sequence[Row]]
    titles: Mapping[str, str]

    @property
    def rows(self) -> list[Row]:
        return [row for rows in self.answers.values() for row in rows]


def for_terminal(run: Run) -> Table:
    table = Table(*COLUMNS)
    for rows in run.answers.values():
        for row in rows:
            table.add_row(*_cells(row), style="red" if row.met is False else None)
        table.add_section()
    return table


def write(run: Run, before: LastRun | None) -> None:
    """Write RESULTS.md, its charts, and the JSON that the next run is compared with."""
    CHARTS.mkdir(exist_ok=True)
    for old in CHARTS.glob("*.svg"):
        old.unlink()
    for name, rows in run.answers.items():
        if chart := charts.draw(rows):
            (CHARTS / f"{name}.svg").write_text(chart)
    RESULTS.write_text(for_markdown(run, before))
    LAST_RUN.write_text(json.dumps(for_machines(run), indent=1, ensure_ascii=False) + "\n")


def for_markdown(run: Run, before: LastRun | None) -> str:
    lines = [_INTRODUCTION.format(command=run.command)]
    lines += [f"- {name}: {value}" for name, value in run.machine.items()]
    lines += ["", "## What moved", "", *moved(run, before)]
    for name, rows in run.answers.items():
        lines += ["", f"## {run.titles[name]}", "", _line(COLUMNS), _line("---" for _ in COLUMNS)]
        lines += [_line(_cells(row)) for row in rows]
        if (CHARTS / f"{name}.svg").exists():
            lines += ["", f"![{run.titles[name]}](charts/{name}.svg)"]
    return "\n".join(lines) + "\n"


def moved(run: Run, before: LastRun | None) -> list[str]:
    """Return the changes since the last run, as Markdown that is readable on a terminal too."""
    if before is None:
        return ["There is no earlier run to compare with."]
    since = f"Since {before.machine['Commit']} ({before.machine['Date']})"
    if run.machine["CPU"] != before.machine["CPU"]:
        since += f", which ran on {before.machine['CPU']}"
    moves = before.moves(run.rows)
    if not moves:
        return [f"{since}: no change beyond the range and a tenth."]
    lines = [f"{since}, beyond the range and a tenth:", ""]
    lines += [
        f"- {move.question}: {move.of} {_number(move.before)} → {_number(move.after)} ({move.times:.2f} times)"
        for move in moves
    ]
    return lines


def for_machines(run: Run) -> dict[str, Any]:
    questions = {name: [_as_dict(row) for row in rows] for name, rows in run.answers.items()}
    return {"command": run.command, "machine": dict(run.machine), "questions": questions}


def _cells(row: Row) -> tuple[str, ...]:
    question = row.question + (f" ({row.note})" if row.note else "")
    floor = f"{_spread(row.floor, row.unit)}: {row.floor_name}" if row.floor else ""
    ratio = f"{row.ratio.median:.2f}" if row.ratio else ""
    met = "" if row.met is None else ("yes" if row.met else "no")
    return question, _spread(row.figure, row.unit), floor, ratio, _aim(row), met


def _aim(row: Row) -> str:
    if row.aim is None:
        return ""
    unit = "of the floor" if row.aim.of == "ratio" else row.unit
    return f"{row.aim.sign} {row.aim.value:g} {unit}"


def _spread(spread: Spread, unit: str) -> str:
    space = " " if unit and not unit.startswith("/") else ""
    return f"{_number(spread.median)}{space}{unit} ({_number(spread.low)}-{_number(spread.high)})"


def _number(value: float) -> str:
    """Return three significant digits below a thousand, an integer above."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _line(cells: Any) -> str:
    return "| " + " | ".join(cells) + " |"


def _as_dict(row: Row) -> dict[str, Any]:
    def of(spread: Spread | None) -> dict[str, float] | None:
        return {"median": spread.median, "min": spread.low, "max": spread.high} if spread else None

    return {
        "question": row.question,
        "unit": row.unit,
        "figure": of(row.figure),
        "floor_name": row.floor_name,
        "floor": of(row.floor),
        "ratio": of(row.ratio),
        "aim": _aim(row) or None,
        "met": row.met,
    }
