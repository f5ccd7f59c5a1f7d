"""Promises of holding an action: it counts nothing, and no user gets around a cap by it."""

from __future__ import annotations

from collections.abc import Sequence

from tests.domain.test_judgement import BEST, POINTS, TYPES, codes, facts

from laurels.domain.actions import Submission, UserFacts
from laurels.domain.detectors import DetectorEngine, Evidence, Finding
from laurels.domain.judgement import Judgement, judge
from laurels.domain.standings import Standing


def odd(evidence: Evidence) -> Finding | None:
    """Holds what says that it is odd."""
    return Finding("odd", "It says so.") if evidence.submission.identifier.startswith("odd") else None


def run(submissions: Sequence[Submission], **more: object) -> Judgement:
    return judge(submissions, facts(3, len(submissions), **more), TYPES, [POINTS, BEST], DetectorEngine([odd]).batch())


def test_a_held_action_is_recorded_and_moves_nothing() -> None:
    """The row is there with what it would be worth; no standing, no score."""
    judgement = run([Submission(1, "lesson", "a"), Submission(1, "lesson", "odd-1")])
    (_, first), (_, second) = judgement.actions
    assert (first.status, first.counted, first.new_score) == ("awarded", 10, 10)
    assert (second.status, second.counted, second.score_earned, second.new_score) == ("held", 0, 10, 10)
    assert judgement.held == {second.action_id: Finding("odd", "It says so.")}
    assert judgement.standings[1, 1].score == 10
    assert judgement.scores == {1: 10}


def test_held_actions_use_up_caps_and_cooldowns() -> None:
    judgement = run([Submission(1, "capped", f"odd-{n}") for n in range(4)])
    assert codes(judgement) == ["ok"] * 3 + ["total_cap_reached"]
    assert codes(run([Submission(1, "slow", "odd"), Submission(1, "slow", "b")])) == ["ok", "cooldown_active"]


def test_a_held_identifier_is_replayed() -> None:
    judgement = run([Submission(1, "lesson", "odd"), Submission(1, "lesson", "odd")])
    first, again = judgement.outcomes
    assert (again.replayed, again.action) == (True, first.action)
    assert len(judgement.actions) == 1


def test_what_the_rules_refuse_is_never_held() -> None:
    assert codes(run([Submission(1, "closed", "odd")])) == ["action_type_inactive"]


def test_a_void_standing_begins_again_at_a_later_version() -> None:
    """And is on the board again, unless its user is not."""
    void = {(1, 1): Standing(0, 5, 8, hidden=True, void=True)}
    assert run([Submission(1, "lesson", "a")], standings=dict(void)).standings[1, 1].version == 9
    assert not run([Submission(1, "lesson", "a")], standings=dict(void)).standings[1, 1].hidden
    state = facts(1, 1, standings=dict(void))
    state.users[1] = UserFacts(1, "shadowed", 0)
    assert judge([Submission(1, "lesson", "a")], state, TYPES, [POINTS]).standings[1, 1].hidden
