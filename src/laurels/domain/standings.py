"""One user's folded value in one window, and the key that ranks it.

The order key packs a standing into 24 bytes whose plain byte order is "best first":

    be64(score, flipped for desc, biased for sign) || be64(reached_at us, biased) || be64(user id)

Earlier `reached_at` wins a tie of scores, then the lower user id: a total order, so every
standing has exactly one ordinal place. The same key sorts the in-memory index and equals
`ORDER BY sort_score, reached_at, user_id` in SQL.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from .errors import Code, Refusal

Order = Literal["desc", "asc"]
Aggregate = Literal["sum", "best", "latest"]

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1
_BIAS = 2**63
_KEY = struct.Struct(">QQQ")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Standing(msgspec.Struct, frozen=True, gc=False):
    """score: int64. reached_at: microseconds since 1970. version: grows with every change.

    void: everything that counted was undone; then it is hidden, and only its version means anything.
    """

    score: int
    reached_at: int
    version: int
    hidden: bool = False
    void: bool = False


def micros(instant: datetime) -> int:
    """Microseconds since 1970-01-01T00:00Z, exact."""
    return (instant - _EPOCH) // _MICROSECOND


def from_micros(value: int) -> datetime:
    """The inverse of `micros`."""
    return _EPOCH + timedelta(microseconds=value)


def sort_score(score: int, order: Order) -> int:
    """The int64 that sorts ascending when `score` sorts best first.

    Bitwise not instead of negation: -2**63 has no negative in int64.
    """
    return ~score if order == "desc" else score


def overflow() -> Refusal:
    """Return what refuses an action after which the ledger could not hold a score or sum of points."""
    return Refusal(Code.SCORE_OVERFLOW, "This score would leave the range of a 64-bit integer.")


def order_key(sort_value: int, reached_at: int, user_id: int) -> bytes:
    """24 bytes, smaller is better. `sort_value` comes from `sort_score`."""
    return _KEY.pack(sort_value + _BIAS, reached_at + _BIAS, user_id)


def split_key(key: bytes) -> tuple[int, int, int]:
    """`order_key` undone: (sort value, reached_at, user id). What follows a key is not looked at."""
    sort_value, reached_at, user_id = _KEY.unpack_from(key)
    return sort_value - _BIAS, reached_at - _BIAS, user_id


def fold(standing: Standing | None, earned: int, at: int, aggregate: Aggregate, order: Order) -> Standing:
    """The standing after an award of `earned` at `at` (microseconds).

    Returns the same object when nothing changed, so that an action worth 0 moves nobody in a tie.
    Raises Refusal(SCORE_OVERFLOW) when a sum would leave int64.
    """
    if standing is None:
        return Standing(earned, at, 1)
    if standing.void:
        return Standing(earned, at, standing.version + 1)
    score = _combine(standing.score, earned, aggregate, order)
    if score == standing.score:
        return standing
    return Standing(score, at, standing.version + 1, standing.hidden)


def _combine(score: int, earned: int, aggregate: Aggregate, order: Order) -> int:
    if aggregate == "latest":
        return earned
    if aggregate == "best":
        return max(score, earned) if order == "desc" else min(score, earned)
    total = score + earned
    if not INT64_MIN <= total <= INT64_MAX:
        raise overflow()
    return total
