"""Standings: a user's folded value in a window, and the key that ranks it.

The order key packs a standing into 24 bytes whose plain byte order is "best first":

    be64(score, flipped for desc, biased for sign) || be64(reached_at us, biased) || be64(user id)

The earlier `reached_at` wins a tie of scores, then the lower user id. That is a total order, so every standing has one
ordinal place. The key sorts the in-memory index, and its order is `ORDER BY sort_score, reached_at, user_id` in SQL.
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
    """`score` is int64, `reached_at` in microseconds since 1970, and `version` grows with every change.

    `void`: everything that counted was undone. Then it is hidden, and only its version means anything.
    """

    score: int
    reached_at: int
    version: int
    hidden: bool = False
    void: bool = False


def micros(instant: datetime) -> int:
    """Return microseconds since 1970-01-01T00:00Z, exact."""
    return (instant - _EPOCH) // _MICROSECOND


def from_micros(value: int) -> datetime:
    """Return the instant of `micros`."""
    return _EPOCH + timedelta(microseconds=value)


def sort_score(score: int, order: Order) -> int:
    """Return the int64 that sorts ascending where `score` sorts best first.

    Bitwise not instead of negation: -2**63 has no negative in int64.
    """
    return ~score if order == "desc" else score


def overflow() -> Refusal:
    """Return the refusal of an action after which a score or a sum of points would not fit into int64."""
    return Refusal(Code.SCORE_OVERFLOW, "This score would leave the range of a 64-bit integer.")


def order_key(sort_value: int, reached_at: int, user_id: int) -> bytes:
    """Return the key of 24 bytes; smaller is better. `sort_value` comes from `sort_score`."""
    return _KEY.pack(sort_value + _BIAS, reached_at + _BIAS, user_id)


def split_key(key: bytes) -> tuple[int, int, int]:
    """Return (sort value, reached_at, user id) of an `order_key`. Bytes after the key are ignored."""
    sort_value, reached_at, user_id = _KEY.unpack_from(key)
    return sort_value - _BIAS, reached_at - _BIAS, user_id


def fold(standing: Standing | None, earned: int, at: int, aggregate: Aggregate, order: Order) -> Standing:
    """Return the standing after an award of `earned` at `at` (microseconds since 1970).

    Returns the same object when nothing changed, so an action worth 0 loses no tie.
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
