"""Promises of the detectors: what a person does passes, what a person could hardly do is held."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from laurels.domain.actions import ActionType, Facts, Submission, UserFacts
from laurels.domain.boards import Board, Window
from laurels.domain.calendars import ALL_TIME
from laurels.domain.detectors import Baseline, DetectorEngine, Thresholds
from laurels.domain.detectors.history import GAPS, ActivityHistory, UserActivity
from laurels.domain.judgement import judge
from laurels.domain.rules import Progress, parse_rules

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
WINDOW = Window(1, Board(1, "points", "All time", is_default=True), ALL_TIME)
RACE = '{"multiplier": {"member": "accuracy", "minimum": 0, "maximum": 1}}'


class Table:
    """A ledger in miniature: one type, any user, one action after another at instants of our choosing."""

    def __init__(self, rules: str = "{}", *, usual: Baseline | None = None, **thresholds: int) -> None:
        self.kind = ActionType(1, "play", "", 10, parse_rules(rules), True)
        self.other = ActionType(2, "start", "", 1, parse_rules("{}"), True)
        self.watch = DetectorEngine(thresholds=Thresholds(**thresholds))
        self.watch.baselines = {} if usual is None else {1: usual}
        self.progress: dict[tuple[int, int], Progress] = {}
        self.count = 0
        self.at = 0.0

    def play(self, at: float, user: int = 1, *, kind: str = "play", **more: Any) -> str | None:
        """The code of the suspicion, None when it counts. `at` in seconds."""
        self.count += 1
        submission = Submission(user, kind, f"i{self.count}", **more)
        facts = Facts(
            START + timedelta(seconds=at), 1, [self.count], {user: UserFacts(user, "active", 0)}, progress=self.progress
        )
        detection = self.watch.batch()
        judgement = judge([submission], facts, {"play": self.kind, "start": self.other}, [WINDOW], detection)
        self.watch.commit(detection)
        held = judgement.held.get(self.count)
        return None if held is None else held.code


def people(seed: int, count: int) -> list[float]:
    """Return the instants at which a person plays: gaps from two seconds to a minute, as people have them."""
    chance = random.Random(seed)
    at, instants = 0.0, []
    for _ in range(count):
        at += 2 + chance.expovariate(1 / 15)
        instants.append(at)
    return instants


@given(st.integers(0, 10_000))
def test_people_are_never_held(seed: int) -> None:
    """Of any gaps and any scores."""
    table = Table(RACE)
    chance = random.Random(seed)
    for at in people(seed, 60):
        accuracy = f'{{"accuracy":{chance.random():.2f}}}'
        assert table.play(at, metadata=accuracy, address="127.0.0.1") is None


def test_more_than_a_person_can_do_in_a_minute_is_held() -> None:
    """And a user who looked wrong stays held while it goes on, also in the next minute, until it has been quiet."""
    table = Table(user_per_minute=20)
    chance = random.Random(1)
    said = [table.play(n + chance.random() / 2) for n in range(55)]
    assert said == [None] * 20 + ["velocity"] * 35
    assert table.play(61) == "still_suspect"
    assert table.play(61 + 6 * 60) is None


def test_what_is_usual_for_the_type_decides() -> None:
    """That people do a type often does not hold them; a rule of the operator's goes before both."""
    chance = random.Random(4)
    busy = Table(usual=Baseline(100, 1_000), user_per_minute=20)
    assert [busy.play(n / 10 + chance.random() / 20) for n in range(401)] == [None] * 400 + ["velocity"]
    slow = Table(usual=Baseline(2, 20), least_per_minute=5)
    assert [slow.play(n / 10) for n in range(9)] == [None] * 8 + ["velocity"]
    told = Table('{"watch": {"per_minute": 3}}', usual=Baseline(100, 1_000))
    assert [told.play(n / 10) for n in range(4)] == [None] * 3 + ["velocity"]


def test_a_few_expensive_actions_are_as_odd_as_many_cheap_ones() -> None:
    table = Table(
        '{"multiplier": {"member": "accuracy", "minimum": 0, "maximum": 2000}}',
        usual=Baseline(60, 100),
        least_per_minute=6,
    )
    said = [table.play(n, metadata=f'{{"accuracy":{1_000 + n}}}') for n in range(6)]
    assert said[:4] == [None] * 4
    assert said[4] == "points_velocity"


def test_a_machine_keeps_time() -> None:
    """A dozen gaps of one length are held from the thirteenth action on; a batch that was sent at once is not."""
    table = Table()
    chance = random.Random(2)
    said = [table.play(n * 7 + chance.uniform(-0.01, 0.01)) for n in range(16)]
    assert said == [None] * 12 + ["metronome"] * 4
    pauses = Table()
    for beats in (1, 3, 2, 1, 1, 4, 1, 2, 1, 1, 3):
        assert pauses.play(pauses.at) is None
        pauses.at += 1.5 * beats
    assert [pauses.play(pauses.at), pauses.play(pauses.at + 3)] == [None, "metronome"]
    at_once = Table()
    assert {at_once.play(0) for _ in range(40)} == {None}


def test_the_same_number_over_and_over_is_held_where_it_is_worth_points() -> None:
    chance = random.Random(3)
    times = [n * 5 + chance.uniform(0, 4) for n in range(14)]
    table = Table(RACE)
    assert [table.play(at, metadata='{"accuracy":1}') for at in times] == [None] * 11 + ["identical_metadata"] * 3
    plain = Table()
    assert {plain.play(at, metadata='{"level":3}') for at in times} == {None}


def test_too_much_from_one_address_is_held_but_not_from_a_server_with_a_key() -> None:
    table = Table(address_per_minute=10)
    said = [table.play(0.1 * n, user=n, address="192.0.2.1") for n in range(1, 13)]
    assert said == [None] * 10 + ["address_velocity"] * 2
    assert table.play(2, user=50, address="192.0.2.2") is None
    assert table.play(2, user=51, address="192.0.2.1", by_server=True) is None


def test_what_can_not_have_been_done_so_soon_is_held() -> None:
    rules = '{"watch": {"sequence": [{"action_type": "start", "min_seconds": 30}]}}'
    table = Table(rules)
    assert table.play(0) == "impossible_sequence"
    table.play(10, user=2, kind="start")
    assert table.play(20, user=2) == "impossible_sequence"
    table.play(30, user=3, kind="start")
    assert table.play(61, user=3) is None


def test_a_type_may_be_left_alone() -> None:
    table = Table('{"watch": {"off": true}}', user_per_minute=1, address_per_minute=1)
    assert {table.play(n, address="192.0.2.1") for n in range(40)} == {None}


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 90)), max_size=60), st.integers(1, 12))
def test_a_batch_sees_what_single_actions_would(moves: list[tuple[int, int]], size: int) -> None:
    """Cut into batches anyhow, the trails end the same; a batch that is not kept leaves nothing behind."""
    one, many = ActivityHistory(), ActivityHistory()
    for user, at in moves:
        history = one.batch()
        history.record_user(user, at * 1_000_000)
        history.record_type(user, 1, at * 1_000_000, str(at % 3), 10)
        one.commit(history)
    for start in range(0, len(moves), size):
        lost, kept = many.batch(), many.batch()
        for user, at in moves[start : start + size]:
            lost.record_user(user, 0)
            lost.record_type(user, 1, 0, "lost", 1)
            kept.record_user(user, at * 1_000_000)
            kept.record_type(user, 1, at * 1_000_000, str(at % 3), 10)
        many.commit(kept)
    assert one.users.items() == many.users.items()
    assert one.types.items() == many.types.items()


def test_memory_is_bounded() -> None:
    """The longest untouched are forgotten; a trail keeps no more than it needs."""
    memory = ActivityHistory(users=3, addresses=2)
    for user in range(20):
        history = memory.batch()
        for at in range(30):
            history.record_user(user, at)
        history.record_type(user, 1, 0, None, 1)
        history.record_address(f"192.0.2.{user}", 0)
        memory.commit(history)
    assert len(memory) == 3 + 12 + 2
    assert set(memory.users.items()) == {17, 18, 19}
    assert len(memory.users.items()[19].gaps) == GAPS
    assert memory.batch().record_user(0, 5) == UserActivity().with_action(5)
