"""The last committed run, and what has moved since.

A run lies beside its table as JSON. Of a row with a floor the ratios are compared, of another its figure. A row
has moved when the two ranges do not touch and the medians differ by more than a tenth.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .measure import Row, Spread

LAST_RUN = Path(__file__).with_name("results.json")
NOTICEABLE = 0.1
"""Share of the older median."""


@dataclass(frozen=True, slots=True)
class Move:
    """`of`: what was compared, the ratio or the figure."""

    question: str
    of: str
    before: float
    after: float

    @property
    def times(self) -> float:
        return self.after / self.before


@dataclass(frozen=True, slots=True)
class LastRun:
    """`rows` as `row_as_dict` wrote them, by question; `machine` as it was told."""

    machine: dict[str, str]
    rows: dict[str, dict[str, Any]]

    def moves(self, rows: Iterable[Row]) -> list[Move]:
        """The rows that moved, most first; those that only one of the runs has are left out."""
        pairs = ((row, self.rows.get(row.question)) for row in rows)
        found = [_move(row, before) for row, before in pairs if before is not None]
        return sorted((move for move in found if move), key=lambda move: -max(move.times, 1 / move.times))


def last_run(file: Path = LAST_RUN) -> LastRun | None:
    """None where no run was written yet."""
    if not file.exists():
        return None
    told = json.loads(file.read_text())
    rows = (row for rows in told["questions"].values() for row in rows)
    return LastRun(told["machine"], {row["question"]: row for row in rows})


def _move(row: Row, before: dict[str, Any]) -> Move | None:
    of = "ratio" if row.ratio and before["ratio"] else "figure"
    now, then = (row.ratio if of == "ratio" else row.figure), _spread(before[of])
    assert now is not None
    apart = now.low > then.high or now.high < then.low
    if not apart or min(now.median, then.median) <= 0 or abs(now.median / then.median - 1) < NOTICEABLE:
        return None
    return Move(row.question, of, then.median, now.median)


def _spread(told: dict[str, float]) -> Spread:
    return Spread(told["median"], told["min"], told["max"])
