"""Windows tile time, whatever the calendar and whatever the clocks do."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from laurels.domain.calendars import (
    WEEKDAYS,
    Calendar,
    Span,
    Unit,
    check_calendar,
    is_time_zone,
    next_midnight,
    span_at,
)
from laurels.domain.errors import LaurelsError

# Zones whose clocks change at midnight, by half hours, or that once skipped a whole day.
ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "America/Havana", "America/Sao_Paulo", "Asia/Beirut",
     "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kolkata", "Africa/Cairo", "America/Santiago", "Asia/Tehran"]
)  # fmt: skip
CRON = st.sampled_from(
    [
        "0 4 * * 1",
        "30 2 * * *",
        "0 * * * *",
        "*/7 * * * *",
        "0 0 1 * *",
        "15 1,2,3 * * *",
        "30 0 L * *",
        "0 12 * * MON#1",
    ]
)
INSTANTS = st.datetimes(datetime(2000, 1, 1), datetime(2035, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001
TIMES = st.one_of(st.sampled_from(["00:00", "02:00", "02:30", "00:30", "04:00", "23:59"]))


@st.composite
def calendars(draw: st.DrawFn) -> Calendar:
    if draw(st.booleans()) and draw(st.booleans()):
        return Calendar(cron=draw(CRON), time_zone=draw(ZONES))
    every: Unit = draw(st.sampled_from(get_args(Unit)))
    anchored = draw(st.booleans())
    calendar = Calendar(
        every=every,
        interval=draw(st.integers(1, 40)) if anchored else 1,
        first_day=draw(st.sampled_from([None, *WEEKDAYS])) if every == "week" and not anchored else None,
        at=draw(TIMES),
        anchor=draw(st.dates(date(1970, 1, 1), date(2100, 12, 31))) if anchored else None,
        time_zone=draw(ZONES),
    )
    check_calendar(calendar)
    return calendar


@given(calendars(), INSTANTS)
@example(Calendar(every="day", time_zone="America/Havana"), datetime(2026, 11, 1, 4, 30, tzinfo=UTC))
@example(Calendar(every="day", time_zone="Pacific/Apia"), datetime(2011, 12, 30, 10, 0, tzinfo=UTC))
@example(Calendar(every="day", at="02:30", time_zone="Europe/Berlin"), datetime(2026, 3, 29, 1, 0, tzinfo=UTC))
def test_every_instant_lies_in_its_window(calendar: Calendar, at: datetime) -> None:
    assert span_at(calendar, at).covers(at)


@given(calendars(), INSTANTS)
@example(Calendar(every="day", time_zone="Pacific/Apia"), datetime(2011, 12, 30, 10, 0, tzinfo=UTC))
@example(Calendar(cron="30 2 * * *", time_zone="Europe/Berlin"), datetime(2026, 3, 29, 1, 0, tzinfo=UTC))
def test_windows_neither_overlap_nor_leave_a_gap(calendar: Calendar, at: datetime) -> None:
    """The window that covers the end of one begins exactly there, and the microsecond before is still inside."""
    span = span_at(calendar, at)
    assert span.starts_at is not None
    assert span.ends_at is not None
    assert span.starts_at < span.ends_at
    assert span_at(calendar, span.ends_at).starts_at == span.ends_at
    assert span_at(calendar, span.ends_at - timedelta(microseconds=1)) == span
    assert span_at(calendar, span.starts_at) == span


@given(calendars().filter(lambda calendar: calendar.every not in (None, "hour")), INSTANTS)
def test_windows_begin_when_the_local_clock_says_so(calendar: Calendar, at: datetime) -> None:
    """At the time of day asked for, for the first time on that day; or at the end of the gap that skips it."""
    zone, start = ZoneInfo(calendar.time_zone), span_at(calendar, at).starts_at
    assert start is not None
    shown = f"{start.astimezone(zone):%H:%M}"
    a_moment_before = f"{(start - timedelta(seconds=1)).astimezone(zone):%H:%M}"
    skipped = (start - timedelta(seconds=1)).astimezone(zone).utcoffset() < start.astimezone(zone).utcoffset()  # type: ignore[operator]
    assert shown == calendar.at or ((skipped and a_moment_before < calendar.at) or a_moment_before > shown)
    assert start.astimezone(zone).fold == 0


@pytest.mark.parametrize(
    ("calendar", "begins"),
    [
        (Calendar(every="day"), "2026-11-18 00:00"),
        (Calendar(every="day", at="04:00"), "2026-11-17 04:00"),
        (Calendar(every="week"), "2026-11-16 00:00"),
        (Calendar(every="week", first_day="sunday"), "2026-11-15 00:00"),
        (Calendar(every="week", first_day="thursday", at="18:30"), "2026-11-12 18:30"),
        (Calendar(every="week", interval=2, anchor=date(2026, 11, 2)), "2026-11-16 00:00"),
        (Calendar(every="week", interval=2, anchor=date(2026, 11, 9)), "2026-11-09 00:00"),
        (Calendar(every="day", interval=30, anchor=date(2026, 12, 1)), "2026-11-01 00:00"),
        (Calendar(every="month"), "2026-11-01 00:00"),
        (Calendar(every="month", anchor=date(2026, 1, 31)), "2026-10-31 00:00"),
        (Calendar(every="month", interval=5, anchor=date(2026, 8, 15)), "2026-08-15 00:00"),
        (Calendar(every="quarter"), "2026-10-01 00:00"),
        (Calendar(every="year"), "2026-01-01 00:00"),
        (Calendar(every="year", anchor=date(2024, 2, 29)), "2026-02-28 00:00"),
        (Calendar(every="hour"), "2026-11-18 03:00"),
        (Calendar(every="hour", interval=6, at="01:00", anchor=date(2026, 11, 1)), "2026-11-18 01:00"),
        (Calendar(cron="0 20 * * FRI"), "2026-11-13 20:00"),
        (Calendar(every="week", time_zone="Asia/Kolkata"), "2026-11-15 18:30"),
    ],
)
def test_begin_of_the_window_of_a_wednesday_night(calendar: Calendar, begins: str) -> None:
    check_calendar(calendar)
    start = span_at(calendar, datetime(2026, 11, 18, 3, 14, tzinfo=UTC)).starts_at
    assert f"{start:%Y-%m-%d %H:%M}" == begins


def test_a_day_of_a_clock_change_has_23_or_25_hours() -> None:
    days = Calendar(every="day", time_zone="Europe/Berlin")
    assert _length(span_at(days, datetime(2026, 3, 29, 12, tzinfo=UTC))) == timedelta(hours=23)
    assert _length(span_at(days, datetime(2026, 10, 25, 12, tzinfo=UTC))) == timedelta(hours=25)


def test_hours_pass_while_clocks_change() -> None:
    """An hourly window lasts an hour, also the one whose local time comes twice."""
    hours = Calendar(every="hour", time_zone="Europe/Berlin")
    at = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    spans = [span_at(hours, at + timedelta(minutes=20 * step)) for step in range(12)]
    assert {_length(span) for span in spans} == {timedelta(hours=1)}
    assert len(set(spans)) == 5


def test_a_month_from_the_31st_ends_on_the_last_day_of_shorter_months() -> None:
    months = Calendar(every="month", anchor=date(2026, 1, 31))
    at, begins = datetime(2026, 1, 31, tzinfo=UTC), []
    for _ in range(6):
        begins.append(f"{at:%m-%d}")
        at = span_at(months, at).ends_at  # type: ignore[assignment]
    assert begins == ["01-31", "02-28", "03-31", "04-30", "05-31", "06-30"]


def test_all_time_never_ends() -> None:
    assert span_at(Calendar(), datetime(2026, 1, 1, tzinfo=UTC)) == Span(None, None)


@given(ZONES, INSTANTS)
def test_midnight_is_the_end_of_the_local_day(zone: str, at: datetime) -> None:
    midnight = next_midnight(zone, at)
    day = at.astimezone(ZoneInfo(zone)).date()
    assert midnight > at
    assume(midnight - at < timedelta(hours=24))
    assert midnight.astimezone(ZoneInfo(zone)).date() > day or midnight.astimezone(ZoneInfo(zone)).fold == 0


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"every": "week", "time_zone": "Mars/Olympus"}, "$.calendar.time_zone"),
        ({"every": "week", "time_zone": "localtime"}, "$.calendar.time_zone"),
        ({"interval": 2}, "$.calendar.interval"),
        ({"at": "04:00"}, "$.calendar.at"),
        ({"anchor": date(2026, 1, 1)}, "$.calendar.anchor"),
        ({"every": "day", "first_day": "monday"}, "$.calendar.first_day"),
        ({"every": "week", "interval": 2}, "$.calendar.anchor"),
        ({"every": "week", "anchor": date(1066, 10, 14)}, "$.calendar.anchor"),
        ({"every": "week", "first_day": "monday", "anchor": date(2026, 11, 3)}, "$.calendar.first_day"),
        ({"cron": "0 4 * * 1", "every": "week"}, "$.calendar.every"),
        ({"cron": "0 4 * * 1", "at": "04:00"}, "$.calendar.at"),
        ({"cron": "0 4 * *"}, "$.calendar.cron"),
        ({"cron": "0 0 4 * * 1"}, "$.calendar.cron"),
        ({"cron": "0 25 * * *"}, "$.calendar.cron"),
        ({"cron": "0 0 30 2 *"}, "$.calendar.cron"),
        ({"cron": "0 0 29 2 */7"}, "$.calendar.cron"),
    ],
)
def test_a_contradiction_is_refused_with_its_path(members: dict[str, Any], path: str) -> None:
    with pytest.raises(LaurelsError) as refused:
        check_calendar(Calendar(**members))
    assert refused.value.path == path


def test_zones_of_the_machine_are_not_zones() -> None:
    assert is_time_zone("Europe/Berlin")
    assert not {name for name in ("localtime", "posixrules", "Factory", "right/Europe/Berlin") if is_time_zone(name)}


def _length(span: Span) -> timedelta:
    assert span.starts_at is not None
    assert span.ends_at is not None
    return span.ends_at - span.starts_at
