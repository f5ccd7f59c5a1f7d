"""Promises of the rules and of judging a batch, against a model that does one thing at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from laurels.domain.actions import ActionType, Facts, Recorded, Submission, UserFacts
from laurels.domain.boards import Board, Window
from laurels.domain.calendars import ALL_TIME
from laurels.domain.errors import Code, LaurelsError
from laurels.domain.judgement import Accepted, Judgement, judge
from laurels.domain.rules import Attempt, Progress, ScoringRules, first_refusal
from laurels.domain.standings import INT64_MAX, Standing

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
POINTS = Window(1, Board(1, "points", "All time", is_default=True), ALL_TIME)
BEST = Window(2, Board(2, "best", "Best", aggregate="best"), ALL_TIME)


def kind(name: str, base: int = 10, *, active: bool = True, **rules: Any) -> ActionType:
    return ActionType(hash(name) % 1000, name, "", base, ScoringRules(**rules), active)


TYPES = {
    item.name: item
    for item in [
        kind("lesson"),
        kind("capped", 7, total_cap=3),
        kind("daily", 5, daily_cap=2),
        kind("slow", 20, cooldown_seconds=60),
        kind("closed", active=False),
        kind("huge", INT64_MAX),
    ]
}


def facts(users: int, count: int, **more: Any) -> Facts:
    people = {user: UserFacts(user, "active", 0) for user in range(1, users + 1)}
    return Facts(NOW, 77, list(range(100, 100 + count)), people, **more)


def run(submissions: list[Submission], **more: Any) -> Judgement:
    return judge(submissions, facts(3, len(submissions), **more), TYPES, [POINTS, BEST])


def codes(judgement: Judgement) -> list[str]:
    return [o.code.value if isinstance(o, LaurelsError) else "ok" for o in judgement.outcomes]


@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.sampled_from(["lesson", "capped", "daily", "slow"]), st.integers(0, 15)),
        max_size=40,
    )
)
def test_a_batch_decides_as_if_its_items_came_one_by_one(items: list[tuple[int, str, int]]) -> None:
    """Caps, cooldowns, replays and scores inside one batch equal those of a sequence of batches of one."""
    submissions = [Submission(user, name, f"{name}-{number}") for user, name, number in items]
    together = run(submissions)
    known: dict[tuple[int, str], Recorded] = {}
    progress: dict[tuple[int, int], Progress] = {}
    standings: dict[tuple[int, int], Standing] = {}
    one_by_one = []
    for submission in submissions:
        state = facts(3, 1, known=known, progress=progress, standings=standings)
        one_by_one.append(judge([submission], state, TYPES, [POINTS, BEST]))
    assert codes(together) == [codes(single)[0] for single in one_by_one]
    assert {key: s.score for key, s in together.standings.items()} == {key: s.score for key, s in standings.items()}


def test_a_total_cap_holds_inside_one_batch() -> None:
    judgement = run([Submission(1, "capped", f"i{n}") for n in range(5)])
    assert codes(judgement) == ["ok"] * 3 + ["total_cap_reached"] * 2
    assert judgement.scores == {1: 21}


def test_a_cooldown_says_when_it_is_over() -> None:
    last = NOW - timedelta(seconds=20)
    judgement = run([Submission(1, "slow", "x")], progress={(1, TYPES["slow"].id): Progress(1, NOW.date(), 1, last)})
    (refusal,) = judgement.outcomes
    assert refusal.code is Code.COOLDOWN_ACTIVE
    assert refusal.retry_at == last + timedelta(seconds=60)


def test_a_daily_cap_ends_with_the_day() -> None:
    yesterday = (NOW - timedelta(days=1)).date()
    full = Progress(2, NOW.date(), 2, NOW - timedelta(hours=1))
    stale = Progress(2, yesterday, 2, NOW - timedelta(days=1))
    key = (1, TYPES["daily"].id)
    assert codes(run([Submission(1, "daily", "x")], progress={key: full})) == ["daily_cap_reached"]
    assert codes(run([Submission(1, "daily", "x")], progress={key: stale})) == ["ok"]


def test_unknown_inactive_and_foreign_are_refused_and_write_nothing() -> None:
    judgement = run([Submission(1, "nope", "a"), Submission(1, "closed", "b"), Submission(9, "lesson", "c")])
    assert codes(judgement) == ["action_type_unknown", "action_type_inactive", "token_invalid"]
    assert not (judgement.actions)
    assert not (judgement.standings)
    assert not (judgement.progress)
    assert not (judgement.scores)


def test_an_overflow_refuses_the_action_on_every_board() -> None:
    """An action is never half-written: the board that could take it doesn't either."""
    held = {(1, 1): Standing(5, 1, 1), (2, 1): Standing(5, 1, 1)}
    judgement = run([Submission(1, "huge", "a")], standings=held)
    assert codes(judgement) == ["score_overflow"]
    assert judgement.standings == {}


def test_a_banned_user_is_refused_under_the_lock() -> None:
    state = facts(1, 1)
    state.users[1] = UserFacts(1, "banned", 0)
    assert codes(judge([Submission(1, "lesson", "a")], state, TYPES, [POINTS])) == ["banned"]


def test_a_replay_with_another_body_is_a_conflict() -> None:
    first, other = Submission(1, "lesson", "a", '{"x":1}'), Submission(1, "lesson", "a", '{"x":2}')
    judgement = run([first, first, other])
    assert codes(judgement) == ["ok", "ok", "identifier_conflict"]
    accepted = judgement.outcomes[1]
    assert isinstance(accepted, Accepted)
    assert accepted.replayed
    assert len(judgement.actions) == 1


def test_completed_at_must_not_lie_ahead() -> None:
    ahead = Attempt(
        rules=ScoringRules(),
        base_score=1,
        progress=Progress(),
        now=NOW,
        day=NOW.date(),
        completed_at=NOW + timedelta(minutes=1),
    )
    refusal = first_refusal(ahead)
    assert refusal is not None
    assert refusal.code is Code.COMPLETED_IN_FUTURE
