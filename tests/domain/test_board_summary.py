"""A board's definition can be read as one sentence."""

from __future__ import annotations

from datetime import date

import pytest

from laurels.domain.board_summary import describe_calendar, summarize
from laurels.domain.calendars import Calendar


@pytest.mark.parametrize(
    ("calendar", "words"),
    [
        (Calendar(), "over all time"),
        (Calendar(every="day"), "each day in UTC"),
        (Calendar(every="day", at="04:00", time_zone="Europe/Berlin"), "each day from 04:00 in Europe/Berlin"),
        (Calendar(every="week"), "each week from Monday in UTC"),
        (Calendar(every="week", first_day="sunday", at="18:30"), "each week from Sunday 18:30 in UTC"),
        (
            Calendar(every="week", interval=2, anchor=date(2026, 11, 2), at="04:00"),
            "every 2 weeks from Monday, 2 November 2026 04:00 in UTC",
        ),
        (Calendar(cron="0 20 * * FRI"), "from each time that '0 20 * * FRI' fires in UTC"),
    ],
)
def test_a_calendar_reads_as_words(calendar: Calendar, words: str) -> None:
    assert describe_calendar(calendar) == words


def test_a_board_reads_as_a_sentence() -> None:
    summary = summarize(
        Calendar(every="week", at="04:00"), aggregate="best", order="asc", ties="competition", action_types=["lap"]
    )
    assert summary == (
        "Best of the points of lap each week from Monday 04:00 in UTC; lowest first, "
        "equal scores share a place (1 2 2 4)."
    )
