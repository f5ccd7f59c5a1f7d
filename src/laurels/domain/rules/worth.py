"""Rules that change the score: base x multiplier, then what BONUSES add."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import Code, Refusal
from ..standings import INT64_MAX, INT64_MIN
from .attempt import Attempt


def score(attempt: Attempt) -> int:
    """What the action is worth. Exact: no float touches the score, halves round up.

    Raises Refusal(SCORE_OVERFLOW) when it would leave int64.
    """
    worth = _multiplied(attempt)
    for bonus, _ in BONUSES:
        worth += bonus(attempt)
    if not INT64_MIN <= worth <= INT64_MAX:
        raise Refusal(Code.SCORE_OVERFLOW, "This score would leave the range of a 64-bit integer.")
    return worth


def explain(attempt: Attempt) -> str | None:
    """How the score came about, in words; None when it is the base score."""
    if not attempt.rules.has_bonus:
        return None
    multiplied, base = _multiplied(attempt), attempt.base_score
    parts = [] if multiplied == base else [f"{base} multiplied to {multiplied}"]
    parts += [f"{worth:+} {words}" for bonus, words in BONUSES if (worth := bonus(attempt))]
    return ", ".join(parts) or None


def _multiplied(attempt: Attempt) -> int:
    rule = attempt.rules.multiplier
    if rule is None:
        return attempt.base_score
    given = (attempt.metadata or {}).get(rule.member)
    number = given if isinstance(given, int | float) and not isinstance(given, bool) else rule.default
    held = min(max(number, rule.minimum), rule.maximum)
    over, under = held.as_integer_ratio()  # exact: a float is a fraction
    return (2 * attempt.base_score * over + under) // (2 * under)


def _streak(attempt: Attempt) -> int:
    rule = attempt.rules.streak
    return 0 if rule is None else rule.bonus * min(attempt.progress.streak_on(attempt.day), rule.days)


def _first(attempt: Attempt) -> int:
    rule = attempt.rules.first
    return 0 if rule is None or attempt.type_count >= rule.count else rule.bonus


BONUSES: tuple[tuple[Callable[[Attempt], int], str], ...] = (
    (_streak, "for the streak"),
    (_first, "for being among the first"),
)
"""Each bonus with the words that explain it."""
