"""The table: on the terminal, as Markdown, as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from .measure import Row, Spread

RESULTS = Path(__file__).with_name("RESULTS.md")
COLUMNS = ("question", "figure: median (min-max)", "floor: median (min-max)", "ratio", "aim", "met")

_INTRODUCTION = """\
# What Laurels costs

Written by `{command}`. Every figure beside its floor, the least that the same work costs with the same parts,
measured in turns in the same run: compare ratios between machines, not figures. After each write run the ledger,
the standings and the index were proved equal. [How it is measured](__init__.py).
"""


def for_terminal(rows: Sequence[Row]) -> Table:
    table = Table(*COLUMNS)
    for row in rows:
        cells = _cells(row)
        style = "red" if row.met is False else None
        table.add_row(*cells, style=style)
    return table


def for_markdown(rows: Sequence[Row], machine: Mapping[str, str], command: str) -> str:
    lines = [_INTRODUCTION.format(command=command)]
    lines += [f"- {name}: {value}" for name, value in machine.items()]
    lines += ["", _line(COLUMNS), _line("---" for _ in COLUMNS)]
    lines += [_line(_cells(row)) for row in rows]
    return "\n".join(lines) + "\n"


def for_machines(rows: Sequence[Row], machine: Mapping[str, str], command: str) -> dict[str, Any]:
    return {"command": command, "machine": dict(machine), "rows": [_as_dict(row) for row in rows]}


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
    """Three significant digits below a thousand, none behind the point above."""
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
