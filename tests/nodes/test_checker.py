"""The checker finds each kind of lie, and nothing in the truth."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.checker import Evidence, Row, Standing, Told, violations

HISTORIES = st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 50)), min_size=1, max_size=40)


def truth(history: list[tuple[str, int]]) -> Evidence:
    """Return what an honest service shows after these (user, points)."""
    rows: list[Row] = []
    sums: dict[str, int] = {}
    for action_id, (user, points) in enumerate(history, 1):
        sums[user] = sums.get(user, 0) + points
        rows.append(Row(user, f"i{action_id}", action_id, points, sums[user]))
    standings = [Standing(user, score, (-score, ord(user))) for user, score in sums.items()]
    board = [(s.user, s.score, n) for n, s in enumerate(sorted(standings, key=lambda s: s.order), 1)]
    told = [Told(row.user, row.identifier, row.action_id, row.score_earned, row.new_score) for row in rows]
    attempted = frozenset((row.user, row.identifier) for row in rows)
    return Evidence(told, rows, standings, attempted, {"node": board, "screen": board[:3]})


@given(history=HISTORIES)
def test_the_truth_has_no_violation(history: list[tuple[str, int]]) -> None:
    assert violations(truth(history)) == []


@given(history=HISTORIES, data=st.data())
def test_a_lost_acknowledgement_is_found(history: list[tuple[str, int]], data: st.DataObject) -> None:
    evidence = truth(history)
    lost = data.draw(st.sampled_from(evidence.rows))
    assert any("lost" in found for found in violations(replace(evidence, rows=[r for r in evidence.rows if r != lost])))


def test_the_rank_of_a_replay_may_differ() -> None:
    evidence = truth([("a", 10), ("b", 20)])
    first = replace(evidence.told[0], rank=1)
    replays = [replace(first, rank=2, replayed=True), replace(first, rank=1, replayed=True)]
    assert violations(replace(evidence, told=[first, *replays, *evidence.told[1:]])) == []


LIES = {
    "doubled": (lambda e: replace(e, rows=[*e.rows, replace(e.rows[0], action_id=99)]), "times"),
    "unsent": (lambda e: replace(e, attempted=frozenset([("x", "y")])), "was never sent"),
    "misfolded": (lambda e: replace(e, standings=[replace(e.standings[0], score=77)]), "folds"),
    "misranked": (lambda e: replace(e, boards={"n": list(reversed(e.boards["node"]))}), "rows are wrong"),
    "an empty board": (lambda e: replace(e, boards={"n": []}), "rows are wrong"),
    "a ghost": (lambda e: replace(e, boards={"n": [*e.boards["node"], ("ghost", 0, 9)]}), "rows are wrong"),
    "another receipt": (lambda e: replace(e, told=[*e.told, replace(e.told[0], new_score=1_000)]), "first"),
    "new twice": (
        lambda e: replace(e, told=[replace(e.told[0], rank=1), replace(e.told[0], rank=2)]),
        "new twice, with rank 1, then 2",
    ),
    "two firsts": (
        lambda e: replace(e, told=[replace(t, rank=1, epoch_seq=("life", 7)) for t in e.told[:2]]),
        "both",
    ),
    "a wrong sum": (lambda e: replace(e, rows=[replace(e.rows[0], new_score=5), *e.rows[1:]]), "the sum is"),
}


@pytest.mark.parametrize("lie", LIES)
def test_each_lie_is_found(lie: str) -> None:
    tell, words = LIES[lie]
    found = violations(tell(truth([("a", 10), ("b", 20), ("a", 5)])))
    assert any(words in one for one in found), found
