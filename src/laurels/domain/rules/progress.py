"""The counters of one user and action type, which rules read."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import msgspec

ONE_DAY = timedelta(days=1)


class Progress(msgspec.Struct, frozen=True, gc=False):
    """Counts of awards. Those of the minute and hour belong to `last_at`, that of the day to `day`.

    `streak`: consecutive days up to `day`, at least 1 after the first award.
    """

    total_count: int = 0
    day: date | None = None
    day_count: int = 0
    last_at: datetime | None = None
    hour_count: int = 0
    minute_count: int = 0
    streak: int = 0

    def on_day(self, day: date) -> int:
        return self.day_count if self.day == day else 0

    def in_hour(self, now: datetime) -> int:
        return self.hour_count if self.last_at is not None and _same_hour(self.last_at, now) else 0

    def in_minute(self, now: datetime) -> int:
        last = self.last_at
        return self.minute_count if last is not None and last.minute == now.minute and _same_hour(last, now) else 0

    def streak_on(self, day: date) -> int:
        """Return the number of consecutive earlier days that an award on `day` would continue."""
        if self.day is None:
            return 0
        if self.day == day:
            return self.streak - 1
        return self.streak if self.day + ONE_DAY == day else 0

    def advanced(self, now: datetime, day: date) -> Progress:
        """Return the counters after one more award at `now`, which is on `day`."""
        in_hour = self.in_hour(now)
        return Progress(
            total_count=self.total_count + 1,
            day=day,
            day_count=self.on_day(day) + 1,
            last_at=now,
            hour_count=in_hour + 1,
            minute_count=(self.in_minute(now) if in_hour else 0) + 1,
            streak=self.streak_on(day) + 1,
        )


def _same_hour(one: datetime, other: datetime) -> bool:
    """Return whether two instants in UTC are in one hour. Comparing fields takes a quarter of truncating both."""
    return one.hour == other.hour and one.day == other.day and one.month == other.month and one.year == other.year
