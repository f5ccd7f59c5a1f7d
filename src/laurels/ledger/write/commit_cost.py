"""Estimate how long a batch takes by the rows it writes, so that batches are cut to fit into a time."""

from __future__ import annotations

FIRST_GUESS = 100e-6
"""Seconds per row before anything was measured: those of a slow machine."""
FIRST_SLOWEST = 4 * FIRST_GUESS
"""The first plans are still to be made, and caches are cold."""
TELLING_ROWS = 200
"""Batches of fewer rows are mostly round trips: they may lower an estimate, but never raise it."""
RISE = 0.5
FALL = 0.2
"""Weight of a new measurement above the estimate, or below it: a slowdown is believed sooner than its end."""
HALF_LIFE = 10.0
"""Seconds in which the slowest rate comes half as near to the usual one."""


class CommitCost:
    """Seconds per row of a batch: a row for each action, and one for each user on each board.

    `seconds_per_row` is the usual rate. `slowest` is the slowest recent one, which a batch may meet again: on a busy
    machine one batch takes several times as long as the batch before it.
    """

    def __init__(self) -> None:
        self.seconds_per_row = FIRST_GUESS
        self.slowest = FIRST_SLOWEST
        self._observed_at: float | None = None

    def observe(self, rows: int, seconds: float, now: float) -> None:
        """Learn from a batch that took `seconds`, or was given up after them. `now` is any monotonic clock's."""
        if not rows:
            return
        measured = seconds / rows
        telling = rows >= TELLING_ROWS
        if measured <= self.seconds_per_row:
            self.seconds_per_row += FALL * (measured - self.seconds_per_row)
        elif telling:
            self.seconds_per_row += RISE * (measured - self.seconds_per_row)
        elapsed = 0.0 if self._observed_at is None else now - self._observed_at
        self._observed_at = now
        above = max(0.0, self.slowest - self.seconds_per_row)
        self.slowest = self.seconds_per_row + above * 0.5 ** (elapsed / HALF_LIFE)
        if telling:
            self.slowest = max(self.slowest, measured)
