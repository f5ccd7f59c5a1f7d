"""One sentence that tells people what a board ranks, and when it starts again."""

from __future__ import annotations

from collections.abc import Sequence

from .boards import Ties
from .calendars import Calendar
from .standings import Aggregate, Order

_AGGREGATES: dict[Aggregate, str] = {"sum": "Sum", "best": "Best", "latest": "Latest"}
_TIES: dict[Ties, str] = {
    "ordinal": "among equal scores the earliest leads",
    "competition": "equal scores share a place (1 2 2 4)",
    "dense": "equal scores share a place (1 2 2 3)",
}


def summarize(
    calendar: Calendar, *, aggregate: Aggregate, order: Order, ties: Ties, action_types: Sequence[str] | None
) -> str:
    """Return, for example, "Sum of the points of lesson each week from Monday in UTC; highest first, …"."""
    counted = "all action types" if action_types is None else ", ".join(action_types) or "no action type"
    first = "highest" if order == "desc" else "lowest"
    often = describe_calendar(calendar)
    return f"{_AGGREGATES[aggregate]} of the points of {counted} {often}; {first} first, {_TIES[ties]}."


def describe_calendar(calendar: Calendar) -> str:
    """Return when windows begin: "over all time", "every 2 weeks from Monday, 2 November 2026 04:00 in UTC"."""
    if calendar.cron is not None:
        return f"from each time that {calendar.cron!r} fires in {calendar.time_zone}"
    if calendar.every is None:
        return "over all time"
    often = f"each {calendar.every}" if calendar.interval == 1 else f"every {calendar.interval} {calendar.every}s"
    return f"{often}{_start(calendar)} in {calendar.time_zone}"


def _start(calendar: Calendar) -> str:
    at = "" if calendar.at == "00:00" else f" {calendar.at}"
    anchor = calendar.anchor
    if anchor is not None:
        return f" from {anchor:%A}, {anchor.day} {anchor:%B %Y}{at}"
    if calendar.every == "week":
        return f" from {(calendar.first_day or 'monday').capitalize()}{at}"
    return f" from{at}" if at else ""
