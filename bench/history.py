"""The last committed run, and the changes since.

A run is stored as JSON beside its table. Rows with a floor are compared by their ratios, others by their figures. A row
has moved if the two ranges do not overlap and the medians differ by more than a tenth.
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
"""As a share of the older median."""


@dataclass(frozen=True, slots=True)
class Move:
    """A change of one row. `of`: the compared value, "ratio" or "figure"."""

    question: str
    of: str
    before: float
    after: float

    @property
    def times(self) -> float:
        return self.after / self.before


@dataclass(frozen=True, slots=True)
class LastRun:
    """An earlier run. `rows` as `row_as_dict` wrote them, by question; `machine` as described then."""

    machine: dict[str, str]
    rows: dict[str, dict[str, Any]]

    def moves(self, rows: Iterable[Row]) -> list[Move]:
        """Return the rows that moved, largest change first; rows that only one of the runs has are left out."""
        pairs = ((row, self.rows.get(row.question)) for row in rows)
        found = [_move(row, before) for row, before in pairs if before is not None]
        return sorted((move for move in found if move), key=lambda move: -max(move.times, 1 / move.times))


def last_run(file: Path = LAST_RUN) -> LastRun | None:
    """Return the last run; None if none was written yet."""
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
