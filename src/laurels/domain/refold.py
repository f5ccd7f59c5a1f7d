"""Fold the ledger rows of one user again.

The result is as if they had been awarded one by one, without those that were undone or rejected. A best that is undone
gives way to the best before it, reached when that one was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Literal

import msgspec

from .actions import Status
from .boards import Board, Window
from .calendars import local_day, span_at
from .rules import Progress
from .standings import INT64_MAX, INT64_MIN, Standing, fold, micros, overflow

Kind = Literal["completion", "reversal", "adjustment"]


class LedgerRowToFold(msgspec.Struct, frozen=True, gc=False):
    """One row of the ledger. `undone`: another row reverses it. `action_type_id` is None for adjustments."""

    id: int
    kind: Kind
    status: Status
    action_type_id: int | None
    score_earned: int
    at: datetime
    undone: bool = False

    @property
    def counts(self) -> bool:
        """Return whether standings fold it. A reversal is not folded: it removes the row that it reverses."""
        return self.status == "awarded" and not self.undone and self.kind != "reversal"

    @property
    def is_used(self) -> bool:
        """Return whether it uses up caps and cooldowns, as held actions do."""
        return self.kind == "completion" and self.status != "rejected" and not self.undone


class Refold:
    """Folds the rows of one user, oldest first; O(windows) for each.

    standings  window id -> the fold of what counts there
    progress   counters of the action type `counted`, when there is one
    points     what was earned on `day`, over all types
    """

    def __init__(
        self,
        windows: Sequence[Window],
        *,
        counted: int | None = None,
        day: date | None = None,
        zone: str = "UTC",
    ) -> None:
        self.standings: dict[int, Standing] = {}
        self.progress: Progress | None = None
        self.points = 0
        self._windows = windows
        self._counted = counted
        self._day = day
        self._zone = zone

    def take(self, rows: Iterable[LedgerRowToFold]) -> None:
        """Fold the next rows. Raises Refusal(SCORE_OVERFLOW) when a sum would leave int64."""
        counting = self._counted is not None or self._day is not None
        for row in rows:
            if row.counts:
                self._fold(row)
            if counting and row.is_used:
                self._count(row)

    def _fold(self, row: LedgerRowToFold) -> None:
        at = micros(row.at)
        for window in self._windows:
            board = window.board
            if board.takes(row.action_type_id) and window.span.covers(row.at):
                before = self.standings.get(window.id)
                self.standings[window.id] = fold(before, row.score_earned, at, board.aggregate, board.order)

    def _count(self, row: LedgerRowToFold) -> None:
        day = local_day(self._zone, row.at)
        if row.action_type_id == self._counted:
            self.progress = (self.progress or Progress()).advanced(row.at, day)
        if day == self._day:
            self.points = _added(self.points, row)


def fold_rows(rows: Iterable[LedgerRowToFold], window: Window) -> Standing | None:
    """Return the standing in one window after a user's `rows`, oldest first, or None when nothing counts there."""
    refold = Refold([window])
    refold.take(rows)
    return refold.standings.get(window.id)


class FullRefold:
    """Folds all windows and counters at once, for users whose whole history is new; O(boards) for each row.

    `windows`: board -> when a window begins -> the window; every window that a row falls in must be there.

    standings  window id -> the fold of what counts there; `windows` are those that a row fell in
    progress   action type id -> counters
    points     what was earned on `day`, over all types
    """

    def __init__(self, windows: Mapping[Board, Mapping[datetime | None, Window]], day: date, zone: str) -> None:
        self.standings: dict[int, Standing] = {}
        self.windows: list[Window] = []
        self.progress: dict[int, Progress] = {}
        self.points = 0
        self._windows = windows
        self._day = day
        self._zone = zone

    def take(self, row: LedgerRowToFold) -> None:
        """Fold one row. Raises Refusal(SCORE_OVERFLOW) when a sum would leave int64."""
        if row.counts:
            self._fold(row)
        if row.is_used:
            self._count(row)

    def _fold(self, row: LedgerRowToFold) -> None:
        at = micros(row.at)
        for board, windows in self._windows.items():
            if board.takes(row.action_type_id):
                window = windows[span_at(board.calendar, row.at).starts_at]
                before = self.standings.get(window.id)
                if before is None:
                    self.windows.append(window)
                self.standings[window.id] = fold(before, row.score_earned, at, board.aggregate, board.order)

    def _count(self, row: LedgerRowToFold) -> None:
        assert row.action_type_id is not None, "completions have a type"
        day = local_day(self._zone, row.at)
        before = self.progress.get(row.action_type_id) or Progress()
        self.progress[row.action_type_id] = before.advanced(row.at, day)
        if day == self._day:
            self.points = _added(self.points, row)


def _added(points: int, row: LedgerRowToFold) -> int:
    """Return the points of a day with those of a row. Raises Refusal(SCORE_OVERFLOW)."""
    total = points + row.score_earned
    if not INT64_MIN <= total <= INT64_MAX:
        raise overflow()
    return total
