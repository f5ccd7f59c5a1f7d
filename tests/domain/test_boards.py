"""Windows tile time, whatever the clocks do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from laurels.domain.boards import Period, span_at

# Zones whose clocks change at midnight, by half hours, or that once skipped a whole day.
ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "America/Havana", "America/Sao_Paulo", "Asia/Beirut",
     "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kolkata", "Africa/Cairo", "America/Santiago", "Asia/Tehran"]
)  # fmt: skip
PERIODS: st.SearchStrategy[Period] = st.sampled_from(["day", "week", "month"])
INSTANTS = st.datetimes(datetime(2000, 1, 1), datetime(2035, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001


@given(PERIODS, ZONES, INSTANTS)
@example("day", "America/Havana", datetime(2026, 11, 1, 4, 30, tzinfo=UTC))
@example("day", "Pacific/Apia", datetime(2011, 12, 30, 10, 0, tzinfo=UTC))
def test_every_instant_lies_in_its_window(period: Period, zone: str, at: datetime) -> None:
    assert span_at(period, zone, at).covers(at)


@given(PERIODS, ZONES, INSTANTS)
def test_windows_neither_overlap_nor_leave_a_gap(period: Period, zone: str, at: datetime) -> None:
    """The window that covers the end of one begins exactly there, and the microsecond before is still inside."""
    span = span_at(period, zone, at)
    assert span.starts_at is not None
    assert span.ends_at is not None
    assert span_at(period, zone, span.ends_at).starts_at == span.ends_at
    assert span_at(period, zone, span.ends_at - timedelta(microseconds=1)) == span
    assert span_at(period, zone, span.starts_at) == span


def test_a_week_begins_on_monday_midnight() -> None:
    span = span_at("week", "UTC", datetime(2026, 11, 22, 23, 59, tzinfo=UTC))
    assert span.starts_at == datetime(2026, 11, 16, tzinfo=UTC)
    assert span.ends_at == datetime(2026, 11, 23, tzinfo=UTC)


def test_a_day_of_a_clock_change_has_23_or_25_hours() -> None:
    spring = span_at("day", "Europe/Berlin", datetime(2026, 3, 29, 12, tzinfo=UTC))
    autumn = span_at("day", "Europe/Berlin", datetime(2026, 10, 25, 12, tzinfo=UTC))
    for span, hours in ((spring, 23), (autumn, 25)):
        assert span.starts_at is not None
        assert span.ends_at == span.starts_at + timedelta(hours=hours)


def test_all_time_never_ends() -> None:
    span = span_at("all_time", "UTC", datetime(2026, 1, 1, tzinfo=UTC))
    assert span.starts_at is None
    assert span.ends_at is None
