"""The fold of a user's rows, against a model and against awarding them one by one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as replaced

from laurels.domain.boards import Board, Window
from laurels.domain.calendars import ALL_TIME, Span
from laurels.domain.refold import Kind, LedgerRowToFold, Refold, fold_rows
from laurels.domain.rules import Progress
from laurels.domain.standings import Aggregate, Order, Standing, fold, micros

START = datetime(2026, 11, 23, 22, tzinfo=UTC)
LESSON, QUIZ = 1, 2

AGGREGATES = st.sampled_from(["sum", "best", "latest"])
ORDERS = st.sampled_from(["desc", "asc"])
ACTS = st.lists(
    st.tuples(
        st.sampled_from(["complete", "complete", "complete", "hold", "approve", "reject", "reverse", "adjust"]),
        st.integers(-30, 30),
        st.integers(0, 30),
    ),
    max_size=40,
)


@dataclass
class Person:
    """A user whose standing is kept as the ledger does: folded with each award, refolded after each correction."""

    window: Window
    rows: list[LedgerRowToFold] = field(default_factory=list)
    standing: Standing | None = None
    clock: datetime = START
    ids: count[int] = field(default_factory=lambda: count(1))

    def act(self, act: str, points: int, pick: int) -> None:
        self.clock += timedelta(minutes=37)
        if act in ("complete", "hold", "adjust"):
            self._add(act, points)
        else:
            self._decide(act, pick)

    def _add(self, act: str, points: int) -> None:
        kind: Kind = "adjustment" if act == "adjust" else "completion"
        type_id = None if act == "adjust" else LESSON if points % 2 else QUIZ
        row = LedgerRowToFold(next(self.ids), kind, "held" if act == "hold" else "awarded", type_id, points, self.clock)
        self.rows.append(row)
        board = self.window.board
        if row.status == "awarded" and board.takes(type_id) and self.window.span.covers(self.clock):
            self.standing = fold(self.standing, points, micros(self.clock), board.aggregate, board.order)

    def _decide(self, act: str, pick: int) -> None:
        wanted = "awarded" if act == "reverse" else "held"
        open_ = [n for n, row in enumerate(self.rows) if row.status == wanted and not row.undone]
        open_ = [n for n in open_ if self.rows[n].kind != "reversal"]
        if not open_:
            return
        chosen = open_[pick % len(open_)]
        row = self.rows[chosen]
        if act == "reverse":
            self.rows[chosen] = replaced(row, undone=True)
            undoing = LedgerRowToFold(
                next(self.ids), "reversal", "awarded", row.action_type_id, -row.score_earned, self.clock
            )
            self.rows.append(undoing)
        else:
            self.rows[chosen] = replaced(row, status="awarded" if act == "approve" else "rejected")
        self.standing = fold_rows(self.rows, self.window)


def modelled(rows: list[LedgerRowToFold], window: Window) -> tuple[int, datetime] | None:
    """(score, reached at), by looking at every prefix of what counts."""
    counting = [
        row
        for row in rows
        if row.status == "awarded"
        and row.kind != "reversal"
        and not row.undone
        and window.board.takes(row.action_type_id)
        and window.span.covers(row.at)
    ]
    if not counting:
        return None
    values = [row.score_earned for row in counting]
    best = max if window.board.order == "desc" else min
    meanings: dict[Aggregate, Any] = {"sum": sum, "best": best, "latest": lambda some: some[-1]}
    meaning = meanings[window.board.aggregate]
    scores = [meaning(values[: n + 1]) for n in range(len(values))]
    reached = max(n for n in range(len(scores)) if n == 0 or scores[n] != scores[n - 1])
    return scores[-1], counting[reached].at


@given(ACTS, AGGREGATES, ORDERS, st.booleans(), st.booleans())
def test_a_standing_is_always_the_fold_of_its_rows(
    acts: list[tuple[str, int, int]], aggregate: Aggregate, order: Order, some_types: bool, ends: bool
) -> None:
    """For all that is completed, held, decided, undone and adjusted, in any order: what was folded step by step
    equals the fold from nothing, and both equal the model.
    """
    board = Board(1, "b", "B", order, aggregate, action_types=frozenset({LESSON}) if some_types else None)
    span = Span(START, START + timedelta(hours=6)) if ends else ALL_TIME
    person = Person(Window(1, board, span))
    for act in acts:
        person.act(*act)
        refolded = fold_rows(person.rows, person.window)
        kept = person.standing
        assert (refolded is None) == (kept is None)
        if refolded is not None and kept is not None:
            assert (refolded.score, refolded.reached_at) == (kept.score, kept.reached_at)
        expected = modelled(person.rows, person.window)
        assert expected == (
            None if refolded is None else (refolded.score, START + timedelta(0, 0, refolded.reached_at - micros(START)))
        )


@given(ACTS)
def test_awarded_rows_add_up_to_the_score(acts: list[tuple[str, int, int]]) -> None:
    """The plain sum, reversals included, is the score of a board that sums everything."""
    person = Person(Window(1, Board(1, "points", "Points", is_default=True), ALL_TIME))
    for act in acts:
        person.act(*act)
    total = sum(row.score_earned for row in person.rows if row.status == "awarded")
    assert total == (person.standing.score if person.standing else 0)


@given(ACTS)
def test_counters_are_those_of_what_is_left(acts: list[tuple[str, int, int]]) -> None:
    """Caps, cooldowns and streaks after corrections equal those of a user who did only what still stands."""
    person = Person(Window(1, Board(1, "points", "Points"), ALL_TIME))
    for act in acts:
        person.act(*act)
    refold = Refold([], counted=LESSON, day=START.date(), zone="UTC")
    refold.take(person.rows)
    left = [r for r in person.rows if r.kind == "completion" and r.status != "rejected" and not r.undone]
    expected = None
    for row in left:
        if row.action_type_id == LESSON:
            expected = (expected or Progress()).advanced(row.at, row.at.date())
    assert refold.progress == expected
    assert refold.points == sum(row.score_earned for row in left if row.at.date() == START.date())


def test_a_best_that_is_undone_gives_its_place_back() -> None:
    """With the time at which the earlier one was reached, on boards of either order."""
    rows = [
        LedgerRowToFold(n, "completion", "awarded", LESSON, score, START + timedelta(hours=n))
        for n, score in enumerate([5, 9, 5, 7])
    ]
    window = Window(1, Board(1, "b", "B", aggregate="best"), ALL_TIME)
    rows[1] = replaced(rows[1], undone=True)
    assert fold_rows(rows, window) == Standing(7, micros(rows[3].at), 2)
    rows[3] = replaced(rows[3], undone=True)
    assert fold_rows(rows, window) == Standing(5, micros(rows[0].at), 1)
    fastest = replace(window, board=replace(window.board, order="asc"))
    assert fold_rows(rows, fastest) == Standing(5, micros(rows[0].at), 1)
