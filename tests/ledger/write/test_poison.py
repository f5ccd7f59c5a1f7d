"""An action that can't be judged or stored is refused to its sender alone, however it fails; its neighbours count."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.ledger.conftest import Ledger, add_users, codes, running_ledger
from tests.support.polling import eventually

from laurels.app.submissions import build_submission
from laurels.domain.actions import Submission
from laurels.domain.errors import LaurelsError
from laurels.domain.standings import INT64_MAX, INT64_MIN
from laurels.ledger.db.pool import Pool
from laurels.web.http.decode import decode_body
from laurels.web.inputs import CompleteAction

RULES = {
    "code": {"once_for_all": "x"},
    "product": {"multiplier": {"member": "x", "minimum": -1e6, "maximum": 1e6, "out_of_bounds": "clamp"}},
    "schema": {"metadata": {"x": {"type": "number", "minimum": 1e-300, "one_of": [1, 2.5, "a", True]}}},
    "largest": {},
}


async def add_types(pool: Pool) -> None:
    for name, rules in RULES.items():
        await pool.execute(
            "INSERT INTO action_types (name, base_score, scoring_rules) VALUES ($1, $2, $3)",
            name,
            INT64_MAX if name == "largest" else 10,
            msgspec.json.encode(rules).decode(),
        )


class Neighbours:
    """Sends one thing among actions of others: in requests of their own, and in the same request."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.round = 0

    async def surround(self, sent: Submission) -> str:
        """Return the code of what was sent; its neighbours are awarded."""
        self.round += 1
        others = [Submission(user, "lesson", f"round-{self.round}") for user in (2, 3, 4, 5)]
        submit = self.ledger.writer.submit
        before, (first, among, last), after = await asyncio.gather(
            submit(others[:1]), submit([others[1], sent, others[2]]), submit(others[3:])
        )
        assert codes([*before, first, last, *after]) == ["ok"] * 4, sent
        return codes([among])[0]


TEXT = st.one_of(
    st.text(st.characters(), max_size=8),  # lone surrogates, NUL, what is not assigned
    st.sampled_from(["", "\0", "\ud800", "x" * 129, "é" * 4_096, "\U0010ffff" * 64, "a\n", "'; --", "\\u0000"]),
)
NUMBERS = st.one_of(
    st.sampled_from([0, -1, INT64_MAX, INT64_MIN, INT64_MAX + 1, INT64_MIN - 1, 10**400, 2**53 + 1]),
    st.sampled_from([-0.0, 0.1, 1e308, -1e308, 5e-324, 1e16, 1e-7, float("nan"), float("inf"), -float("inf")]),
    st.integers(),
    st.floats(),
)
DEEP: Any = 1
for _ in range(300):
    DEEP = [DEEP]
VALUES = NUMBERS | TEXT | st.booleans() | st.none() | st.just(DEEP) | st.lists(NUMBERS | TEXT, max_size=3)
TYPES = st.sampled_from(["lesson", *RULES]) | TEXT
INSTANTS = (
    st.none()
    | st.datetimes(timezones=st.just(UTC))
    | st.sampled_from([datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
)


def _json(value: Any) -> str:
    """JSON as a hostile client spells it: NaN and Infinity too, escapes for what has no UTF-8."""
    return json.dumps(value)


METADATA = st.none() | st.dictionaries(st.just("x") | TEXT, VALUES, max_size=3).map(_json) | TEXT
RAW = st.builds(
    Submission, st.just(1), TYPES, TEXT | st.uuids().map(str), METADATA, INSTANTS, st.none() | TEXT, st.booleans()
)


async def test_nothing_that_reaches_the_ledger_fails_its_neighbours(pool: Pool) -> None:
    """Every member of an action at its extremes, also where decoding would have refused it."""
    await add_users(pool, 5)
    await add_types(pool)
    async with running_ledger(pool) as ledger:
        neighbours, loop = Neighbours(ledger), asyncio.get_running_loop()

        @settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(sent=RAW)
        @example(sent=Submission(1, "code", "long", _json({"x": "v" * 4_000})))
        @example(sent=Submission(1, "lesson", "\ud800"))
        @example(sent=Submission(1, "lesson", "nul", '{"a": "\\u0000"}'))
        @example(sent=Submission(1, "lesson", "deep", "[" * 100_000))
        @example(sent=Submission(1, "product", "nan", '{"x": NaN}'))
        def fuzz(sent: Submission) -> None:
            asyncio.run_coroutine_threadsafe(neighbours.surround(sent), loop).result(30)

        await asyncio.to_thread(fuzz)


def _bodies(values: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    members = {
        "action_type": TYPES,
        "action_identifier": TEXT | st.uuids().map(str),
        "metadata": st.none() | st.dictionaries(st.just("x") | TEXT, values, max_size=3),
        "completed_at": st.sampled_from(["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", None, "2026-01-01"]),
    }
    return st.fixed_dictionaries(members).map(_json).map(str.encode)


def _decoded(body: bytes) -> Submission | LaurelsError:
    try:
        return build_submission(1, decode_body(body, CompleteAction), None)
    except LaurelsError as refusal:
        return refusal


async def test_what_decoding_lets_pass_the_ledger_can_store(pool: Pool) -> None:
    """From bytes: refused with a reason, or decided; never found to be poison by PostgreSQL."""
    await add_users(pool, 5)
    await add_types(pool)
    async with running_ledger(pool) as ledger:
        neighbours, loop = Neighbours(ledger), asyncio.get_running_loop()

        @settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(body=_bodies(VALUES))
        @example(body=_json({"action_type": "code", "action_identifier": "c", "metadata": {"x": "v" * 4_000}}).encode())
        @example(body=_json({"action_type": "code", "action_identifier": "d", "metadata": {"x": "é" * 1_500}}).encode())
        def fuzz(body: bytes) -> None:
            sent = _decoded(body)
            if isinstance(sent, LaurelsError):
                assert sent.code in {"invalid_json", "invalid_request"}
                return
            assert asyncio.run_coroutine_threadsafe(neighbours.surround(sent), loop).result(30) != "action_unwritable"

        await asyncio.to_thread(fuzz)


async def test_points_of_a_day_beyond_64_bits_are_refused(pool: Pool) -> None:
    """Held actions move no standing that could overflow first."""
    await add_users(pool, 5)
    await add_types(pool)
    await pool.execute("UPDATE boards SET aggregate = 'best' WHERE is_default")
    async with running_ledger(pool) as ledger:
        neighbours = Neighbours(ledger)
        await ledger.complete(1, "first", "largest")
        assert await neighbours.surround(Submission(1, "largest", "second")) == "score_overflow"


async def test_a_long_value_counts_once_for_everybody(pool: Pool) -> None:
    """By its digest, which no one claims by sending it as a value."""
    await add_users(pool, 5)
    await add_types(pool)
    long = "v" * 4_000
    async with running_ledger(pool) as ledger:
        assert codes([await ledger.complete(1, "a", "code", _json({"x": long}))]) == ["ok"]
        kept = await pool.fetchval("SELECT value FROM claims")
        assert kept.startswith("sha256:")
        assert codes([await ledger.complete(2, "b", "code", _json({"x": long}))]) == ["already_claimed"]
        assert codes([await ledger.complete(2, "c", "code", _json({"x": kept}))]) == ["ok"]
        assert codes([await ledger.complete(3, "d", "code", _json({"x": long + "w"}))]) == ["ok"]


@pytest.fixture
async def failing(pool: Pool) -> Pool:
    """Actions named `fail-SQLSTATE-…` end in that SQLSTATE."""
    await add_users(pool, 40)
    await pool.execute(
        """
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'as it was asked for' USING ERRCODE = split_part(NEW.action_identifier, '-', 2);
        END $$;
        CREATE TRIGGER fail BEFORE INSERT ON actions FOR EACH ROW
        WHEN (NEW.action_identifier LIKE 'fail-%') EXECUTE FUNCTION fail()"""
    )
    return pool


@pytest.mark.parametrize(
    ("sqlstate", "code"),
    [
        ("22003", "action_unwritable"),
        ("22P05", "action_unwritable"),
        ("23514", "action_unwritable"),
        ("54000", "action_unwritable"),
        ("54001", "action_unwritable"),
        ("21000", "action_unwritable"),
        ("42846", "action_unwritable"),  # not foreseen, but others are written
        ("P0001", "action_unwritable"),
        ("0A000", "action_unwritable"),
        ("53200", "database_unavailable"),  # it may pass
        ("55000", "database_unavailable"),
    ],
)
async def test_whatever_sqlstate_an_action_ends_in_it_is_refused_alone(failing: Pool, sqlstate: str, code: str) -> None:
    async with running_ledger(failing) as ledger:
        sent = [Submission(user, "lesson", f"fail-{sqlstate}" if user == 7 else "a") for user in range(1, 21)]
        apart = await asyncio.gather(*(ledger.writer.submit([one]) for one in sent))
        together = await ledger.writer.submit([msgspec.structs.replace(one, user_id=one.user_id + 20) for one in sent])
    expected = ["ok"] * 6 + [code] + ["ok"] * 13
    assert codes([result for (result,) in apart]) == expected
    assert codes(together) == expected
    assert await failing.fetchval("SELECT count(*) FROM actions") == 38


async def test_much_poison_delays_its_sender_alone(failing: Pool) -> None:
    """Thousands of actions that can't be stored: others are awarded meanwhile, and nothing is left over."""
    async with running_ledger(failing) as ledger:
        poison = [Submission(1, "lesson", f"fail-54000-{n}") for n in range(1_000)]
        flood = [asyncio.create_task(ledger.writer.submit(poison)) for _ in range(4)]
        await asyncio.sleep(0)
        for turn in range(5):
            others = await asyncio.gather(*(ledger.complete(user, f"a-{turn}") for user in range(2, 41)))
            assert codes(others) == ["ok"] * 39
        results = [code for task in flood for code in codes(await task)]
        assert set(results) <= {"action_unwritable", "overloaded", "outcome_unknown"}
        await eventually(lambda: asyncio.sleep(0, ledger.writer.queued), lambda queued: not queued, within=20)
        assert codes([await ledger.complete(1, "honest")]) == ["ok"]  # as soon as it behaves


async def test_a_ledger_that_refuses_everything_is_not_asked_for_each_action(pool: Pool) -> None:
    """A table is away: a thousand actions are refused after a few statements, and no user is to blame."""
    await add_users(pool, 1)
    async with running_ledger(pool) as ledger:
        await pool.execute("ALTER TABLE actions RENAME TO away")
        results = await ledger.writer.submit([Submission(1, "lesson", f"a-{n}") for n in range(1_000)])
        await pool.execute("ALTER TABLE away RENAME TO actions")
        assert set(codes(results)) == {"database_unavailable"}
        again = await ledger.writer.submit([Submission(1, "lesson", f"a-{n}") for n in range(1_000)])
    assert set(codes(again)) == {"ok"}
