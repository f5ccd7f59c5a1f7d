"""A ticket is good for its user, its type, its time and one award; and a server needs none."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laurels.domain.actions import ActionType, Facts, Submission, UserFacts
from laurels.domain.boards import Board, Window
from laurels.domain.calendars import ALL_TIME
from laurels.domain.errors import LaurelsError
from laurels.domain.judgement import Judgement, judge
from laurels.domain.rules import Progress, parse_rules
from laurels.domain.tickets import Grant, Ticket

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
WINDOWS = [Window(1, Board(1, "points", "All time", is_default=True), ALL_TIME)]
RULES = {
    "race": '{"ticket": {"min_seconds": 10, "max_seconds": 100}}',
    "relay": '{"ticket": {"min_seconds": 10, "max_seconds": 100}}',
    "puzzle": '{"ticket": {"min_seconds": 10, "max_seconds": 100, "parallel": true}}',
    "sealed": '{"issuer": "server"}',
    "both": '{"issuer": "server", "ticket": {"min_seconds": 10, "max_seconds": 100}}',
    "free": "{}",
}
TYPES = {
    name: ActionType(number, name, "", 10, parse_rules(rules), is_active=True)
    for number, (name, rules) in enumerate(RULES.items(), 1)
}


def ticket(ago: float = 50, kind: str = "race", user: int = 1, nonce: str = "n", genuine: bool = True) -> Ticket:
    started = NOW - timedelta(seconds=ago)
    grant = Grant(
        user, kind, nonce.encode(), started, started + timedelta(seconds=10), started + timedelta(seconds=100)
    )
    return Ticket(f"{kind} {ago} {user} {nonce} {genuine}", grant if genuine else None)


def send(identifier: str, presented: Ticket | None, kind: str = "race", **more: Any) -> Submission:
    return Submission(1, kind, identifier, ticket=presented, **more)


def run(*submissions: Submission, **more: Any) -> Judgement:
    users = {user: UserFacts(user, "active", 0) for user in (1, 2)}
    facts = Facts(NOW, 7, list(range(100, 100 + len(submissions))), users, **more)
    return judge(submissions, facts, TYPES, WINDOWS)


def codes(judgement: Judgement) -> list[str]:
    return [o.code.value if isinstance(o, LaurelsError) else "ok" for o in judgement.outcomes]


@pytest.mark.parametrize(
    ("presented", "expected"),
    [
        (None, "ticket_required"),
        (ticket(genuine=False), "ticket_invalid"),
        (ticket(kind="relay"), "ticket_invalid"),
        (ticket(user=2), "ticket_not_yours"),
        (ticket(ago=9.999), "ticket_too_early"),
        (ticket(ago=10), "ok"),
        (ticket(ago=99.999), "ok"),
        (ticket(ago=100), "ticket_expired"),
        (ticket(nonce="used"), "ticket_used"),
    ],
)
def test_each_ticket_gets_its_own_answer(presented: Ticket | None, expected: str) -> None:
    """From `min_seconds` on and before `max_seconds`, to the microsecond."""
    judgement = run(send("a", presented), used_tickets={b"used"})
    assert codes(judgement) == [expected]
    assert [use.nonce for use in judgement.ticket_uses] == ([presented.grant.nonce] if expected == "ok" else [])


def test_too_early_says_when_and_leaves_the_ticket_good() -> None:
    early = ticket(ago=4)
    judgement = run(send("a", early))
    (refusal,) = judgement.outcomes
    assert early.grant is not None
    assert refusal.retry_at == early.grant.not_before == NOW + timedelta(seconds=6)
    assert judgement.ticket_uses == []


def test_one_ticket_is_good_for_one_award_inside_a_batch_too() -> None:
    """The same identifier gets its receipt again; another one is refused; a ticket swapped is a conflict."""
    first = ticket(kind="puzzle")
    judgement = run(
        send("a", first, "puzzle"),
        send("a", first, "puzzle"),
        send("b", first, "puzzle"),
        send("a", ticket(kind="puzzle", nonce="m"), "puzzle"),
        send("a", None, "puzzle"),
    )
    assert codes(judgement) == ["ok", "ok", "ticket_used", "identifier_conflict", "identifier_conflict"]
    assert len(judgement.actions) == 1


def test_tickets_taken_together_do_not_count_together() -> None:
    """Work is done one after the other, unless the rule allows it side by side."""
    together = [ticket(nonce=str(n)) for n in range(3)]
    assert codes(run(*(send(t.text, t) for t in together))) == ["ok", "ticket_overlaps", "ticket_overlaps"]
    side_by_side = [ticket(nonce=str(n), kind="puzzle") for n in range(3)]
    assert codes(run(*(send(t.text, t, "puzzle") for t in side_by_side))) == ["ok"] * 3


@given(starts=st.lists(st.integers(0, 1_000), max_size=40))
def test_n_awards_take_n_times_the_least_time(starts: list[int]) -> None:
    """However tickets are hoarded: completed as early as they may be, no two lie closer than `min_seconds`."""
    progress: dict[tuple[int, int], Progress] = {}
    counted = []
    for number, start in enumerate(sorted(starts)):
        now = NOW + timedelta(seconds=start + 10)
        users = {1: UserFacts(1, "active", 0)}
        facts = Facts(now, 7, [number], users, progress=progress)
        began = NOW + timedelta(seconds=start)
        grant = Grant(1, "race", b"%d" % number, began, now, began + timedelta(seconds=100))
        judgement = judge([send(str(number), Ticket(str(number), grant))], facts, TYPES, WINDOWS)
        if codes(judgement) == ["ok"]:
            counted.append(now)
    assert all(later - sooner >= timedelta(seconds=10) for sooner, later in itertools.pairwise(counted))


def test_what_only_a_server_may_say_is_refused_from_anybody_else() -> None:
    """A server needs no ticket either; and a type without such rules takes both, ticket or not."""
    assert codes(run(send("a", None, "sealed"), send("a", None, "sealed", by_server=True))) == ["server_only", "ok"]
    assert codes(run(send("a", ticket(kind="both"), "both"))) == ["server_only"]
    assert codes(run(send("a", None, "both", by_server=True), send("b", None, by_server=True))) == ["ok", "ok"]
    assert codes(run(send("c", ticket(kind="free"), "free"), send("d", None, "free"))) == ["ok", "ok"]


def test_a_replay_may_come_from_the_user_after_the_server_said_so() -> None:
    """The sender that vouched is not part of the body: the receipt is the user's."""
    assert codes(run(send("a", None, "sealed", by_server=True), send("a", None, "sealed"))) == ["ok", "ok"]


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ('{"ticket": {"min_seconds": 10}}', "$.ticket"),
        ('{"ticket": {"min_seconds": 10, "max_seconds": 10}}', "$.ticket.max_seconds"),
        ('{"ticket": {"min_seconds": -1, "max_seconds": 10}}', "$.ticket.min_seconds"),
        ('{"ticket": {"min_seconds": 1, "max_seconds": 86401}}', "$.ticket.max_seconds"),
        ('{"issuer": "anybody"}', "$.issuer"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_with_its_path(document: str, path: str) -> None:
    with pytest.raises(LaurelsError) as caught:
        parse_rules(document)
    assert caught.value.path == path
