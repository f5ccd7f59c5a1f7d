"""Rules that change the score: base x multiplier, plus BONUSES."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal

from ..standings import INT64_MAX, INT64_MIN, overflow
from .attempt import Attempt
from .document import Multiplier

_EXACT = Context(prec=64)
"""Enough digits for an int64 times any double written in its shortest form, within the bounds of a Factor."""
_LONGEST = 40
"""Characters of a number in a reason; a longer one is shown to six digits."""


def score(attempt: Attempt) -> int:
    """Return what the action is worth, exact for the decimals that were sent; halves round up.

    Call it after the checks. Raises Refusal(SCORE_OVERFLOW) when it would leave int64.
    """
    worth = _multiplied(attempt)
    for bonus, _ in BONUSES:
        worth += bonus(attempt)
    if not INT64_MIN <= worth <= INT64_MAX:
        raise overflow()
    return worth


def explain(attempt: Attempt) -> str | None:
    """Explain the score in words; None when it is the base score and nothing was changed."""
    if not attempt.rules.has_bonus:
        return None
    parts = _explain_multiplier(attempt)
    parts += [f"{worth:+} {words}" for bonus, words in BONUSES if (worth := bonus(attempt))]
    return ", ".join(parts) or None


def _explain_multiplier(attempt: Attempt) -> list[str]:
    rule = attempt.rules.multiplier
    if rule is None:
        return []
    number, base, multiplied = _factor(attempt, rule), attempt.base_score, _multiplied(attempt)
    clamped = number != (attempt.metadata or {}).get(rule.member, number)
    parts = [f"{rule.member} counted as {_plain(_decimal(number))}, the nearest allowed"] if clamped else []
    product = _EXACT.multiply(Decimal(base), _decimal(number))
    if product != multiplied:
        parts.append(f"{base} multiplied to {multiplied}, rounded from {_plain(product)}")
    elif multiplied != base:
        parts.append(f"{base} multiplied to {multiplied}")
    return parts


def _multiplied(attempt: Attempt) -> int:
    rule = attempt.rules.multiplier
    if rule is None:
        return attempt.base_score
    over, under = _decimal(_factor(attempt, rule)).as_integer_ratio()
    return (2 * attempt.base_score * over + under) // (2 * under)


def _factor(attempt: Attempt, rule: Multiplier) -> int | float:
    """Return the number that counts, within the bounds; older rules may have a default outside of them."""
    given: int | float = (attempt.metadata or {}).get(rule.member, rule.default)
    return min(max(given, rule.minimum), rule.maximum)


def _decimal(number: float) -> Decimal:
    """Return the number as it was written: 0.7 as seven tenths, not as the nearest double, which is less."""
    return Decimal(number) if isinstance(number, int) else Decimal(repr(number))


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    if len(text) > _LONGEST:
        return f"{number:.6g}"
    return text.rstrip("0").rstrip(".") if "." in text else text


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
"""Each bonus with its explanation."""
