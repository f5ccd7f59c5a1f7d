"""Turns of figure and floor, and what is said of them: the median, with the range it lay in.

A figure and its floor take turns (figure, floor, figure, floor …) so that whatever else the machine does
falls on both; each pair gives one ratio, and the ratio that is told is the median of those.
"""

from __future__ import annotations

import operator
import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Tick = Callable[[str], None]
"""Told what is being measured; moves the progress display."""
Tell = Callable[[str], None]
"""Told what the reader of the table must know: a row that is left out, and why."""
Measure = Callable[[int], Awaitable[float]]
"""Told the number of the turn, answers with its figure."""
Side = tuple[str, Measure]
"""Its name on the progress display, and how it is measured."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much to measure. `turns` alternate; `seconds` is the length of one turn, `warm_up` goes before.

    `members` are the boards on which growth is looked at, `many` is the size of a large one. A ledger that has grown
    has `actions_each` actions of `many` users.
    """

    turns: int = 5
    seconds: float = 5.0
    warm_up: float = 3.0
    players: int = 5_000
    connections: int = 64
    sockets: int = 2_000
    members: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    many: int = 1_000_000
    actions_each: int = 1
    smoke: bool = False


SMOKE = Sizes(
    turns=1,
    seconds=0.3,
    warm_up=0.0,
    players=200,
    connections=8,
    sockets=50,
    members=(500, 2_000),
    many=2_000,
    smoke=True,
)


@dataclass(frozen=True, slots=True)
class Spread:
    """What several turns gave."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Aim:
    """What the figure, or its ratio to the floor, should reach."""

    of: Literal["ratio", "figure"]
    sign: Literal["≥", "≤"]
    value: float

    def met(self, row: Row) -> bool:
        measured = row.ratio if self.of == "ratio" else row.figure
        compare = operator.ge if self.sign == "≥" else operator.le
        return measured is not None and compare(measured.median, self.value)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `floor` and `ratio` are None where the figure has none."""

    question: str
    unit: str
    figure: Spread
    floor_name: str = ""
    floor: Spread | None = None
    ratio: Spread | None = None
    aim: Aim | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        return None if self.aim is None else self.aim.met(self)


def against(
    question: str,
    unit: str,
    figures: Sequence[float],
    floor_name: str,
    floors: Sequence[float],
    *,
    aim: Aim | None = None,
    note: str = "",
) -> Row:
    """A row with the ratio figure : floor of every turn."""
    ratios = [figure / floor for figure, floor in zip(figures, floors, strict=True)]
    return Row(question, unit, Spread.of(figures), floor_name, Spread.of(floors), Spread.of(ratios), aim, note)


async def alternate(turns: int, sides: Sequence[Side], tick: Tick) -> list[list[float]]:
    """Let the sides take turns; one list of figures per side. Each is told the number of the turn."""
    figures: list[list[float]] = [[] for _ in sides]
    for turn in range(turns):
        for position, (name, measure) in enumerate(sides):
            tick(f"{name}, turn {turn + 1} of {turns}")
            figures[position].append(await measure(turn))
    return figures
