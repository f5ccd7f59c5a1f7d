"""Boards: what one ranking counts, how it folds and orders it, and when its windows begin."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from .calendars import ALL_TIME_CALENDAR, Calendar, Span
from .standings import Aggregate, Order

Ties = Literal["ordinal", "competition", "dense"]

TOP_SIZE = 10
"""Places that count as "the top": shown on screens, and meant by `entered_top`."""


@dataclass(frozen=True, slots=True)
class Board:
    """A ranking. `action_types` None takes every type, else only those ids.

    `daily_points_cap` (default board): the most that one user may earn on a calendar day, over all types.
    """

    id: int
    slug: str
    name: str
    order: Order = "desc"
    aggregate: Aggregate = "sum"
    ties: Ties = "ordinal"
    calendar: Calendar = ALL_TIME_CALENDAR
    is_default: bool = False
    action_types: frozenset[int] | None = None
    daily_points_cap: int | None = None

    @property
    def period(self) -> str:
        return self.calendar.period

    def takes(self, action_type_id: int | None) -> bool:
        """Return whether actions of a type count here. None, an adjustment: on boards where everything adds up."""
        if action_type_id is None:
            return self.action_types is None and self.aggregate == "sum"
        return self.action_types is None or action_type_id in self.action_types


@dataclass(frozen=True, slots=True)
class Window:
    """One window of a board, as the ledger knows it."""

    id: int
    board: Board
    span: Span


def default_board(boards: Iterable[Board]) -> Board:
    """Return the board that receipts and `users.current_score` speak of."""
    return next(board for board in boards if board.is_default)
