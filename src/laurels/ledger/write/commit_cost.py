"""How long a batch takes, by what it writes: measured, so that batches are cut to fit into a time."""

from __future__ import annotations

FIRST_GUESS = 100e-6
"""Seconds per row before anything was measured: a slow machine's."""
TELLING_ROWS = 200
"""Batches of fewer rows are mostly round trips: they make the estimate smaller, never larger."""
RISE = 0.5
FALL = 0.2
"""Weight of a new measurement that is above the estimate, or below it: trouble is believed sooner than its end."""


class CommitCost:
    """Seconds per row of a batch: a row for each action, and one for each user on each board."""

    def __init__(self) -> None:
        self.seconds_per_row = FIRST_GUESS

    def observe(self, rows: int, seconds: float) -> None:
        """Learn from a batch that took `seconds`, or was given up after them."""
        if not rows:
            return
        measured = seconds / rows
        if measured <= self.seconds_per_row:
            self.seconds_per_row += FALL * (measured - self.seconds_per_row)
        elif rows >= TELLING_ROWS:
            self.seconds_per_row += RISE * (measured - self.seconds_per_row)
