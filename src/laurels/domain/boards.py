"""Boards and their windows: which stretch of time one ranking covers.

Windows of one board tile time: every instant lies in exactly one of them, also through
daylight-saving changes, because both ends come from the same function of a local date.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo, available_timezones

from .standings import Aggregate, Order

Ties = Literal["ordinal", "competition", "dense"]
Period = Literal["all_time", "day", "week", "month"]

TOP_SIZE = 10
"""Places that count as "the top": what screens show and `entered_top` speaks of."""


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
    period: Period = "all_time"
    time_zone: str = "UTC"
    is_default: bool = False
    action_types: frozenset[int] | None = None
    daily_points_cap: int | None = None

    def takes(self, action_type_id: int | None) -> bool:
        """Whether actions of a type count here. None, an adjustment: where everything adds up."""
        if action_type_id is None:
            return self.action_types is None and self.aggregate == "sum"
        return self.action_types is None or action_type_id in self.action_types


@dataclass(frozen=True, slots=True)
class Span:
    """[starts_at, ends_at) in UTC; None is unbounded."""

    starts_at: datetime | None
    ends_at: datetime | None

    def covers(self, instant: datetime) -> bool:
        return (self.starts_at is None or self.starts_at <= instant) and (
            self.ends_at is None or instant < self.ends_at
        )


@dataclass(frozen=True, slots=True)
class Window:
    """One period of a board, as the ledger knows it."""

    id: int
    board: Board
    span: Span


ALL_TIME = Span(None, None)


def span_at(period: Period, time_zone: str, instant: datetime) -> Span:
    """The window of a board with this calendar that covers `instant` (aware)."""
    if period == "all_time":
        return ALL_TIME
    day = instant.astimezone(ZoneInfo(time_zone)).date()
    span = _span_of_day(period, time_zone, day)
    # A clock set back across midnight repeats the end of a local day after the next one began.
    if span.starts_at is not None and instant < span.starts_at:
        return _span_of_day(period, time_zone, day - timedelta(days=1))
    if span.ends_at is not None and instant >= span.ends_at:
        return _span_of_day(period, time_zone, day + timedelta(days=1))
    return span


def is_time_zone(name: str) -> bool:
    """Return whether `name` is a zone of the IANA database that means the same on every machine.

    The directory of zone files also holds other names: the zone of this machine (`localtime`, `posixrules`), a
    placeholder (`Factory`), and copies that count leap seconds (`right/…`) or differ from system to system (`posix/…`).
    """
    return name in _time_zones()


@lru_cache(maxsize=1)
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones() - {"localtime", "posixrules", "Factory"})


def local_day(time_zone: str, instant: datetime) -> date:
    """The calendar day on which daily caps and streaks count."""
    return instant.astimezone(ZoneInfo(time_zone)).date()


def default_board(boards: Iterable[Board]) -> Board:
    """The board that receipts and `users.current_score` speak of."""
    return next(board for board in boards if board.is_default)


@lru_cache(maxsize=1024)
def _span_of_day(period: Period, time_zone: str, day: date) -> Span:
    zone = ZoneInfo(time_zone)
    first, after = _local_dates(period, day)
    return Span(_midnight(first, zone), _midnight(after, zone))


def _local_dates(period: Period, day: date) -> tuple[date, date]:
    if period == "day":
        return day, day + timedelta(days=1)
    if period == "week":
        monday = day - timedelta(days=day.weekday())
        return monday, monday + timedelta(days=7)
    first = day.replace(day=1)
    return first, (first + timedelta(days=32)).replace(day=1)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
