"""A node that builds in turn with another waits ever longer; one that does not, never waits."""

from __future__ import annotations

import itertools

from laurels.ranking.redis_index.rebuild_backoff import FIRST_PAUSE, LONGEST_PAUSE, RebuildBackoff


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_first_build_and_one_after_ones_own_loss_are_not_put_off() -> None:
    contest = RebuildBackoff(Clock())
    assert contest.may_build(1, "theirs")
    contest.built(1, "mine", "theirs")
    assert contest.may_build(1, "mine")
    assert contest.may_build(1, None)
    assert contest.may_build(2, "theirs")
    assert not contest.may_build(1, "theirs")


def test_builds_that_others_replace_come_ever_more_slowly() -> None:
    """In a day of a split there are some 300 of them, not one every second."""
    clock = Clock()
    contest, builds = RebuildBackoff(clock), list[float]()
    while clock.now < 86_400:
        if contest.may_build(1, "theirs"):
            assert contest.built(1, "mine", "theirs") == bool(builds), "the first one contests no other build"
            builds.append(clock.now)
        clock.now += 0.5
    gaps = [later - earlier for earlier, later in itertools.pairwise(builds)]
    assert gaps[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert gaps == sorted(gaps)
    assert gaps[-1] == LONGEST_PAUSE


def test_a_copy_that_lasted_ends_the_contest() -> None:
    clock = Clock()
    contest = RebuildBackoff(clock)
    for _ in range(4):
        contest.built(1, "mine", "theirs")
    clock.now = 10_000.0
    contest.built(1, "mine too", "theirs")
    clock.now += FIRST_PAUSE
    assert contest.may_build(1, "theirs")


def test_building_again_what_one_lost_oneself_is_no_contest() -> None:
    clock = Clock()
    contest = RebuildBackoff(clock)
    for number in range(1, 6):
        contest.built(1, str(number), str(number - 1))
    clock.now = FIRST_PAUSE
    assert contest.may_build(1, "theirs")
