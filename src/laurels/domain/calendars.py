"""Calendars: where the windows of a board begin and end.

A calendar is a small document. Its windows tile time: every instant lies in exactly one of them, also through
daylight-saving changes, because every boundary comes from one non-decreasing function of a whole number (`every`) or
from one sequence of instants (`cron`). A local time that a clock change skips counts as the end of the gap; of a local
time that occurs twice the first one counts.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated, Literal, get_args
from zoneinfo import ZoneInfo, available_timezones

import msgspec
from cronsim import CronSim, CronSimError
from msgspec import Meta

from .errors import Code, LaurelsError

Unit = Literal["hour", "day", "week", "month", "quarter", "year"]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)

TimeOfDay = Annotated[
    str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$(?!\n)", extra={"expected": 'a time such as "04:00"'})
]
TimeZone = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z0-9_+/-]+$(?!\n)",
        examples=["Europe/Berlin"],
        extra={"expected": "a time zone such as Europe/Berlin"},
    ),
]
MONTHS: dict[Unit, int] = {"month": 1, "quarter": 3, "year": 12}
ORIGIN = date(2001, 1, 1)
"""Without an anchor, windows are counted from here: a Monday, and the first day of a month, a quarter and a year."""
MAX_CRON_GAP = timedelta(days=366 * 8 + 1)
"""The longest window that a cron expression may give. It allows 29 February, also across 1900 or 2100."""


class Calendar(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """When a board's windows begin. Neither `every` nor `cron`: one window for all time.

    every      the unit of a window's length
    interval   how many units; more than one needs an `anchor`
    first_day  of a week; Monday when left out
    at         local time of day at which windows begin, "04:00"
    anchor     local date on which one window begins; gives the day of the month for months, quarters and years
    cron       five fields, instead of `every`: a window begins whenever it fires
    time_zone  IANA name; also the zone of daily caps and streaks on the default board
    """

    every: Unit | None = None
    interval: Annotated[int, Meta(ge=1, le=1000)] = 1
    first_day: Weekday | None = None
    at: TimeOfDay = "00:00"
    anchor: date | None = None
    cron: Annotated[str, Meta(min_length=9, max_length=100)] | None = None
    time_zone: TimeZone = "UTC"

    @property
    def period(self) -> str:
        """Return in one word how windows follow each other: `all_time`, a unit, or `cron`."""
        return "cron" if self.cron is not None else self.every or "all_time"


ALL_TIME_CALENDAR = Calendar()


@dataclass(frozen=True, slots=True)
class Span:
    """[starts_at, ends_at) in UTC; None is unbounded."""

    starts_at: datetime | None
    ends_at: datetime | None

    def covers(self, instant: datetime) -> bool:
        return (self.starts_at is None or self.starts_at <= instant) and (
            self.ends_at is None or instant < self.ends_at
        )


ALL_TIME = Span(None, None)


def span_at(calendar: Calendar, instant: datetime) -> Span:
    """Return the span of the window of `calendar` that covers `instant` (aware)."""
    if calendar.cron is not None:
        return _cron_span(calendar.cron, calendar.time_zone, instant.replace(microsecond=0))
    if calendar.every is None:
        return ALL_TIME
    number = _estimate(calendar, instant)
    while _boundary(calendar, number) > instant:
        number -= 1
    while _boundary(calendar, number + 1) <= instant:  # also steps over windows that a skipped day leaves empty
        number += 1
    return _span(calendar, number)


def parse_calendar(document: str) -> Calendar:
    """Return the calendar of a stored document."""
    return msgspec.json.decode(document, type=Calendar)


def dump_calendar(calendar: Calendar) -> str:
    """Return the document to store: only the members that differ from their defaults."""
    return msgspec.json.encode(calendar).decode()


def next_midnight(time_zone: str, instant: datetime) -> datetime:
    """Return when the local day of `instant` ends, in UTC."""
    end = span_at(_day(time_zone), instant).ends_at
    assert end is not None, "days end"
    return end


def local_day(time_zone: str, instant: datetime) -> date:
    """Return the calendar day on which daily caps and streaks count."""
    return instant.astimezone(ZoneInfo(time_zone)).date()


def is_time_zone(name: str) -> bool:
    """Return whether `name` is a zone of the IANA database that means the same on every machine.

    The directory of zone files also holds other names: the zone of this machine (`localtime`, `posixrules`), a
    placeholder (`Factory`), and copies that count leap seconds (`right/…`) or differ from system to system (`posix/…`).
    """
    return name in _time_zones()


def check_calendar(calendar: Calendar, path: str = "$.calendar") -> None:
    """Raise LaurelsError(INVALID_REQUEST) with the path of the first member that contradicts the others."""
    for member, problem in _problems(calendar):
        raise LaurelsError(Code.INVALID_REQUEST, problem, path=f"{path}.{member}")


def _problems(calendar: Calendar) -> list[tuple[str, str]]:
    checks = [("time_zone", _zone_problem(calendar.time_zone))]
    if calendar.cron is not None:
        checks += [(member, "Leave it out: `cron` says when windows begin.") for member in _set_beside_cron(calendar)]
        checks += [("cron", _cron_problem(calendar))]
    elif calendar.every is None:
        needless = [member for member in ("interval", "first_day", "at", "anchor") if _is_set(calendar, member)]
        checks += [(member, "It needs `every`: hour, day, week, month, quarter or year.") for member in needless]
    else:
        checks += _every_problems(calendar)
    return [(member, problem) for member, problem in checks if problem]


def _every_problems(calendar: Calendar) -> list[tuple[str, str]]:
    anchor = calendar.anchor
    found: list[tuple[str, str]] = []
    if calendar.first_day is not None and calendar.every != "week":
        found.append(("first_day", 'It needs `every` to be "week".'))
    if calendar.interval > 1 and anchor is None:
        found.append(("anchor", f"Say on which date one window of {calendar.interval} {calendar.every}s begins."))
    if anchor is not None and not 1970 <= anchor.year <= 2100:
        found.append(("anchor", "It must lie between the years 1970 and 2100."))
    if anchor is not None and calendar.first_day not in (None, WEEKDAYS[anchor.weekday()]):
        found.append(("first_day", f"The anchor {anchor} is a {WEEKDAYS[anchor.weekday()].capitalize()}."))
    return found


def _is_set(calendar: Calendar, member: str) -> bool:
    return bool(getattr(calendar, member) != getattr(ALL_TIME_CALENDAR, member))


def _set_beside_cron(calendar: Calendar) -> list[str]:
    return [member for member in ("every", "interval", "first_day", "at", "anchor") if _is_set(calendar, member)]


def _zone_problem(name: str) -> str:
    return "" if is_time_zone(name) else f"{name!r} is not a time zone, such as Europe/Berlin."


def _cron_problem(calendar: Calendar) -> str:
    assert calendar.cron is not None
    if len(calendar.cron.split()) != 5:
        return "Five fields are needed: minute, hour, day of month, month, day of week."
    if not is_time_zone(calendar.time_zone):
        return ""  # reported for time_zone
    try:
        fires = CronSim(calendar.cron, datetime(2001, 1, 1, tzinfo=ZoneInfo(calendar.time_zone)))
        first, second = next(fires), next(fires)
    except CronSimError as error:
        return f"{error} in {calendar.cron!r}."
    except StopIteration:
        return "It never fires."
    return "" if second - first <= MAX_CRON_GAP else "It fires less often than every eight years."


@lru_cache(maxsize=1)
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones() - {"localtime", "posixrules", "Factory"})


@lru_cache(maxsize=64)
def _day(time_zone: str) -> Calendar:
    return Calendar(every="day", time_zone=time_zone)


def _estimate(calendar: Calendar, instant: datetime) -> int:
    """Return the number of a window at most a few away from the one that covers `instant`."""
    first = _first(calendar)
    if calendar.every == "hour":
        return int((instant - _boundary(calendar, 0)) / timedelta(hours=calendar.interval))
    day = instant.astimezone(ZoneInfo(calendar.time_zone)).date()
    if calendar.every in ("day", "week"):
        return (day - first).days // _days(calendar)
    return ((day.year - first.year) * 12 + day.month - first.month) // _months(calendar)


@lru_cache(maxsize=4096)
def _span(calendar: Calendar, number: int) -> Span:
    return Span(_boundary(calendar, number), _boundary(calendar, number + 1))


@lru_cache(maxsize=4096)
def _boundary(calendar: Calendar, number: int) -> datetime:
    """Return when window `number` begins, in UTC; non-decreasing in `number`.

    Hours are counted as they pass. Everything else is counted on the local calendar, always from the anchor: the 31st
    becomes the last day of shorter months and is the 31st again afterwards.
    """
    at = time.fromisoformat(calendar.at)
    first, zone = _first(calendar), ZoneInfo(calendar.time_zone)
    if calendar.every == "hour":
        return _to_utc(datetime.combine(first, at), zone) + timedelta(hours=number * calendar.interval)
    if calendar.every in ("day", "week"):
        day = first + timedelta(days=number * _days(calendar))
    else:
        day = _month_later(first, number * _months(calendar))
    return _to_utc(datetime.combine(day, at), zone)


def _first(calendar: Calendar) -> date:
    """Return the local date on which window 0 begins."""
    if calendar.anchor is not None:
        return calendar.anchor
    if calendar.first_day is not None:
        return ORIGIN + timedelta(days=WEEKDAYS.index(calendar.first_day))
    return ORIGIN


def _days(calendar: Calendar) -> int:
    return calendar.interval * (7 if calendar.every == "week" else 1)


def _months(calendar: Calendar) -> int:
    assert calendar.every is not None
    return calendar.interval * MONTHS[calendar.every]


def _month_later(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _to_utc(local: datetime, zone: ZoneInfo) -> datetime:
    """Return the first instant at which the clocks of `zone` show `local` (naive) or, where they skip it, a later time.

    For a skipped time the two readings of PEP 495 lie on either side of the change; the change itself is between them.
    """
    before, after = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if before <= after:  # an ordinary time, or one that occurs twice
        return before
    low, high = after, before
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        if middle.astimezone(zone).replace(tzinfo=None) < local:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)


@lru_cache(maxsize=4096)
def _cron_span(expression: str, time_zone: str, second: datetime) -> Span:
    """Return the span of the window around a whole second. Changes of the clock are treated as Debian's cron does."""
    zone = ZoneInfo(time_zone)
    start = next(CronSim(expression, (second + timedelta(seconds=1)).astimezone(zone), reverse=True))
    end = next(CronSim(expression, second.astimezone(zone)))
    return Span(start.astimezone(UTC), end.astimezone(UTC))
