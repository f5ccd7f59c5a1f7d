"""What may count: one pure function per rule, one line each in RULES.

To add a rule: give `ScoringRules` a member, write a function of the shape below, add its line to RULES.
Rules run in order, under the user's row lock, and the first refusal wins.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta

from .boards import span_at
from .errors import Code, LaurelsError, Refusal

FUTURE_TOLERANCE = timedelta(seconds=5)
"""How far ahead of the ledger's clock a client's `completed_at` may lie: clocks differ."""

PositiveCount = Annotated[int, Meta(ge=1, le=1_000_000_000)]


class ScoringRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The `scoring_rules` document of an action type. Empty means: always counts.

    cooldown_seconds  at least this long between two of the same user
    daily_cap         at most so many per user and calendar day (UTC)
    total_cap         at most so many per user for ever
    """

    version: Annotated[int, Meta(ge=1, le=1)] = 1
    cooldown_seconds: Annotated[int, Meta(ge=1, le=31_536_000)] | None = None
    daily_cap: PositiveCount | None = None
    total_cap: PositiveCount | None = None


class Progress(msgspec.Struct, frozen=True, gc=False):
    """What one user has done of one action type. `day_count` counts on `day` only."""

    total_count: int = 0
    day: date | None = None
    day_count: int = 0
    last_at: datetime | None = None

    def count_on(self, day: date) -> int:
        return self.day_count if self.day == day else 0

    def advanced(self, now: datetime) -> Progress:
        """The counters after one more award at `now`."""
        day = now.date()
        return Progress(self.total_count + 1, day, self.count_on(day) + 1, now)


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """One action as the rules see it. `now` is the ledger's clock, in UTC."""

    rules: ScoringRules
    progress: Progress
    completed_at: datetime | None
    now: datetime


def parse_rules(document: bytes | str) -> ScoringRules:
    """Decode a `scoring_rules` document.

    Raises LaurelsError(INVALID_REQUEST) whose `path` names the member that is wrong.
    """
    try:
        return msgspec.json.decode(document, type=ScoringRules)
    except msgspec.DecodeError as error:
        message, _, path = str(error).partition(" - at ")
        raise LaurelsError(Code.INVALID_REQUEST, message, path=path.strip("`") or None) from error


def _not_in_the_future(attempt: Attempt) -> Refusal | None:
    if attempt.completed_at is None or attempt.completed_at <= attempt.now + FUTURE_TOLERANCE:
        return None
    return Refusal(
        Code.COMPLETED_IN_FUTURE,
        "completed_at lies in the future. Leave it out, or set the clock of the sender.",
        retry_at=attempt.completed_at,
    )


def _cooldown(attempt: Attempt) -> Refusal | None:
    seconds, last = attempt.rules.cooldown_seconds, attempt.progress.last_at
    if seconds is None or last is None:
        return None
    ready_at = last + timedelta(seconds=seconds)
    if attempt.now >= ready_at:
        return None
    return Refusal(Code.COOLDOWN_ACTIVE, f"This action counts once every {seconds} seconds.", retry_at=ready_at)


def _daily_cap(attempt: Attempt) -> Refusal | None:
    cap = attempt.rules.daily_cap
    if cap is None or attempt.progress.count_on(attempt.now.astimezone(UTC).date()) < cap:
        return None
    return Refusal(
        Code.DAILY_CAP_REACHED,
        f"This action counts {cap} times a day.",
        retry_at=span_at("day", "UTC", attempt.now).ends_at,
    )


def _total_cap(attempt: Attempt) -> Refusal | None:
    cap = attempt.rules.total_cap
    if cap is None or attempt.progress.total_count < cap:
        return None
    return Refusal(Code.TOTAL_CAP_REACHED, f"This action counts {cap} times in all.")


RULES: tuple[Callable[[Attempt], Refusal | None], ...] = (
    _not_in_the_future,
    _total_cap,
    _daily_cap,
    _cooldown,
)


def first_refusal(attempt: Attempt) -> Refusal | None:
    """Ask every rule in order; None means that the action counts."""
    for rule in RULES:
        refusal = rule(attempt)
        if refusal is not None:
            return refusal
    return None
