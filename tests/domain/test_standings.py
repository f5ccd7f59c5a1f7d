"""Promises of the order key and the fold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laurels.domain.errors import Code, Refusal
from laurels.domain.standings import (
    INT64_MAX,
    INT64_MIN,
    Aggregate,
    Order,
    Standing,
    fold,
    from_micros,
    micros,
    order_key,
    sort_score,
    split_key,
)

SCORES = st.integers(INT64_MIN, INT64_MAX) | st.sampled_from([2**53, 2**53 + 1, INT64_MIN, INT64_MAX, 0, -1])
INSTANTS = st.integers(0, 4_102_444_800_000_000)
USERS = st.integers(1, 2**63 - 1)
ROWS = st.lists(st.tuples(SCORES, INSTANTS, USERS), min_size=2, max_size=30)


@given(ROWS)
def test_keys_sort_as_sql_does_on_descending_boards(rows: list[tuple[int, int, int]]) -> None:
    """Byte order equals ORDER BY score DESC, reached_at ASC, user_id ASC, also around 2**53."""
    by_key = sorted(rows, key=lambda row: order_key(sort_score(row[0], "desc"), row[1], row[2]))
    assert by_key == sorted(rows, key=lambda row: (-row[0], row[1], row[2]))


@given(ROWS)
def test_keys_sort_as_sql_does_on_ascending_boards(rows: list[tuple[int, int, int]]) -> None:
    by_key = sorted(rows, key=lambda row: order_key(sort_score(row[0], "asc"), row[1], row[2]))
    assert by_key == sorted(rows)


@given(SCORES, INSTANTS, USERS, st.sampled_from(["desc", "asc"]))
def test_a_key_gives_back_what_it_was_made_of(score: int, at: int, user: int, order: Order) -> None:
    key = order_key(sort_score(score, order), at, user)
    value, reached_at, user_id = split_key(key)
    assert len(key) == 24
    assert (sort_score(value, order), reached_at, user_id) == (score, at, user)


@given(INSTANTS)
def test_microseconds_survive_the_round_trip(value: int) -> None:
    assert micros(from_micros(value)) == value


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=20), st.sampled_from(["sum", "best", "latest"]))
def test_the_fold_is_what_its_name_says(awards: list[int], aggregate: Aggregate) -> None:
    """sum adds, best keeps the best, latest the last; reached_at is when the score last changed."""
    standing = None
    changed_at = 0
    for at, earned in enumerate(awards, 1):
        before = standing
        standing = fold(standing, earned, at, aggregate, "desc")
        if before is None or before.score != standing.score:
            changed_at = at
    expected = {"sum": sum(awards), "best": max(awards), "latest": awards[-1]}[aggregate]
    assert (standing.score, standing.reached_at) == (expected, changed_at)


def test_an_award_of_nothing_moves_no_one_in_a_tie() -> None:
    """The same object comes back: no new version, no later reached_at."""
    standing = Standing(10, 5, 3)
    assert fold(standing, 0, 99, "sum", "desc") is standing


@pytest.mark.parametrize(("score", "earned"), [(INT64_MAX, 1), (INT64_MIN, -1)])
def test_a_sum_never_wraps_around(score: int, earned: int) -> None:
    with pytest.raises(Refusal) as refused:
        fold(Standing(score, 1, 1), earned, 2, "sum", "desc")
    assert refused.value.code is Code.SCORE_OVERFLOW
