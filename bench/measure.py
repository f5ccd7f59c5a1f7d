"""Turns of figure and floor, and their summary: the median with its range.

A figure and its floor take turns (figure, floor, figure, floor …) so that other load on the machine affects
both; each pair gives one ratio, and the reported ratio is the median of those.
"""

from __future__ import annotations

import operator
import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Tick = Callable[[str], None]
"""Receives the name of the current measurement, for the progress display."""
Tell = Callable[[str], None]
"""Receives notes for the reader of the table, such as a row that is left out and why."""
Measure = Callable[[int], Awaitable[float]]
"""Receives the number of the turn and returns its figure."""
Side = tuple[str, Measure]
"""A name for the progress display, and its measurement."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of a run. `turns` alternate; `seconds` is the length of one turn, after `warm_up`.

    `members` are the board sizes for growth, `many` is the size of a large board. A large ledger has `actions_each`
    actions of each of `many` users.
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
    """The figures of several turns."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Aim:
    """The target of a figure, or of its ratio to the floor."""

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
    """Return a row with the ratio figure : floor of every turn."""
    ratios = [figure / floor for figure, floor in zip(figures, floors, strict=True)]
    return Row(question, unit, Spread.of(figures), floor_name, Spread.of(floors), Spread.of(ratios), aim, note)


async def alternate(turns: int, sides: Sequence[Side], tick: Tick) -> list[list[float]]:
    """Let the sides take turns; return one list of figures per side. Each side receives the number of the turn."""
    figures: list[list[float]] = [[] for _ in sides]
    for turn in range(turns):
        for position, (name, measure) in enumerate(sides):
            tick(f"{name}, turn {turn + 1} of {turns}")
            figures[position].append(await measure(turn))
    return figures
