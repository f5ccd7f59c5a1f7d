"""More than there is time for: cut into batches that fit, and what was not begun in time is refused as not written."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.conftest import add_users, codes, running_ledger
from tests.support.polling import eventually

from laurels.domain.actions import Recorded, Submission, present_placement
from laurels.domain.errors import Code, LaurelsError
from laurels.ledger.db.pool import ANSWER_SECONDS, Pool
from laurels.ledger.write.commit_cost import FIRST_GUESS, HALF_LIFE, TELLING_ROWS, CommitCost
from laurels.ledger.write.commit_queue import (
    BATCH_SECONDS,
    CALLER_SECONDS,
    LAST_START,
    MAX_SUSPECTS,
    SUSPECT_SECONDS,
    Batch,
    CommitQueue,
    CommitRequest,
    RowBudget,
    halves,
)

WRITTEN = LaurelsError(Code.BANNED, "stands for any result of an action that was decided")


def request(*users: int, at: float = 0.0) -> CommitRequest:
    submissions = [Submission(user, "lesson", f"{position}") for position, user in enumerate(users)]
    return CommitRequest(submissions, asyncio.get_running_loop().create_future(), at)


def queue_of(*requests: CommitRequest) -> CommitQueue:
    queue = CommitQueue()
    for one in requests:
        queue.put(one)
    return queue


def spans(batch: Batch) -> list[tuple[int, int]]:
    return [(part.start, part.stop) for part in batch]


async def test_a_batch_holds_whole_requests_while_there_is_time() -> None:
    queue = queue_of(request(1, 2), request(3), request(*range(50)), request(4))
    batch = queue.cut(10, RowBudget(2, 1e-6), now=0.1)
    assert spans(batch) == [(0, 2), (0, 1)]
    assert queue.queued == 51


async def test_a_request_that_does_not_fit_is_cut_and_goes_on_before_the_others() -> None:
    """1,000 users on 20 boards are 21,000 rows; at a tenth of a millisecond each, half a second takes 238 of them."""
    large, small = request(*range(1_000)), request(1_001)
    queue, parts, now = queue_of(large, small), [], 0.0
    while large.waiting:
        batch = queue.cut(1_000, RowBudget(20, 1e-4), now)
        parts += spans(batch)
        queue.put_back(batch)
        now += 0.2
    assert parts == [(0, 238), (238, 476), (476, 714), (714, 952), (952, 1_000), (0, 1)]


async def test_a_slice_fits_into_the_time_that_its_caller_has_left() -> None:
    queue = queue_of(request(*range(1_000)))
    (part,) = queue.cut(1_000, RowBudget(0, 1e-3), ANSWER_SECONDS - 0.4)
    assert 0 < len(part) <= 400


async def test_what_could_hardly_be_answered_is_not_begun() -> None:
    old, young = request(1, at=0.0), request(2, at=1.0)
    queue = queue_of(old, young)
    assert [part.request for part in queue.cut(10, RowBudget(2, 1e-6), LAST_START + 0.01)] == [young]
    assert codes(old.done.result()) == ["overloaded"]
    assert queue.queued == 0


async def test_who_is_answered_hears_what_is_known_and_the_rest_is_forgotten() -> None:
    """Decided, in flight, and not begun: three answers. What was not begun is never written."""
    large = request(*range(6))
    queue = queue_of(large)
    first = queue.cut(2, RowBudget(0, 0.2), 0.0)
    decided = LaurelsError(Code.BANNED, "as it was decided")
    large.fill(0, [decided] * len(first[0]))
    queue.put_back(first)
    second = queue.cut(2, RowBudget(0, 0.2), 0.0)
    large.give_up(second, LaurelsError(Code.OVERLOADED, "not begun"))
    told = codes(large.done.result())
    taken = len(first[0]), len(second[0])
    assert told == ["banned"] * taken[0] + ["outcome_unknown"] * taken[1] + ["overloaded"] * (6 - sum(taken))
    assert sum(taken) < 6
    queue.put_back(second)
    assert queue.cut(10, RowBudget(0, 1e-6), 0.1) == []
    assert queue.queued == 0


async def test_suspects_are_kept_apart_and_forgotten_in_time() -> None:
    queue = queue_of(request(1), request(2), request(3, 1))
    queue.suspect(1, now=0.0)
    assert [part.request.submissions[0].user_id for part in queue.cut(10, RowBudget(0, 1e-6), 0.1)] == [2]
    apart = [queue.cut_apart(0.1) for _ in range(3)]
    assert [len(batch) for batch in apart] == [1, 1, 0]
    queue.put(request(1, at=SUSPECT_SECONDS))
    assert len(queue.cut(10, RowBudget(0, 1e-6), SUSPECT_SECONDS + 0.1)) == 1
    for user in range(2 * MAX_SUSPECTS):
        queue.suspect(user, 0.0)
    assert len(queue._suspects) == MAX_SUSPECTS


@given(st.lists(st.integers(1, 20), min_size=1, max_size=20))
def test_halving_ends_with_every_action_by_itself(sizes: list[int]) -> None:
    async def run() -> None:
        queue = queue_of(*(request(*range(size)) for size in sizes))
        pending, single = [queue.cut(1_000, RowBudget(0, 1e-6), 0.0)], Counter[int]()
        while pending:
            batch = pending.pop()
            if len(batch) == 1 and len(batch[0]) == 1:
                single[id(batch[0].request)] += 1
            else:
                pending.extend(halves(batch))
        assert sorted(single.values()) == sorted(sizes)

    asyncio.run(run())


def test_the_estimate_rises_fast_and_falls_slowly() -> None:
    cost = CommitCost()
    cost.observe(10, 1.0, now=0.0)  # mostly a round trip: says nothing
    assert cost.seconds_per_row == FIRST_GUESS
    cost.observe(TELLING_ROWS, 1.0, now=0.0)
    slow = cost.seconds_per_row
    assert slow > 10 * FIRST_GUESS
    cost.observe(10, 0.001, now=0.0)
    assert FIRST_GUESS < cost.seconds_per_row < slow
    for _ in range(100):
        cost.observe(10_000, 0.1, now=0.0)
    assert BATCH_SECONDS / cost.seconds_per_row > 20_000


def test_the_slowest_rate_is_remembered_and_fades() -> None:
    cost = CommitCost()
    cost.observe(10_000, 10.0, now=0.0)
    for _ in range(100):
        cost.observe(10_000, 0.1, now=1.0)
    assert cost.seconds_per_row < 1.1e-5
    assert 0.9e-3 < cost.slowest <= 1e-3
    cost.observe(10_000, 0.1, now=1.0 + 10 * HALF_LIFE)
    assert cost.slowest < 1.3e-5


@pytest.mark.parametrize("users", [1, 1_000])
@pytest.mark.parametrize("swings", [[1, 2, 1, 3], [1, 1, 1, 4], [3, 1, 1, 1, 2], [1, 1, 2.5]])
async def test_a_full_request_to_a_server_of_changing_speed_ends_without_doubt(users: int, swings: list[float]) -> None:
    """1,000 actions on 20 boards, sent again until all are written. The server is up to four times as slow as before.

    No slice is in flight when its caller must be answered, and what is in time is written: the requests come to an end.
    """
    cost, speeds, now, sent = CommitCost(), itertools.cycle(swings), 0.0, [n % users for n in range(1_000)]
    cost.observe(TELLING_ROWS, TELLING_ROWS * 100e-6 * max(swings), now)  # it has met the slow spells before
    requests = 0
    while sent:
        requests += 1
        large = request(*sent, at=now)
        queue = queue_of(large)
        while batch := queue.cut(1_000, RowBudget(20, cost.seconds_per_row, cost.slowest), now):
            (part,) = batch
            rows = len(part) + 20 * len({item.user_id for item in part.submissions()})
            seconds = 0.002 + rows * 100e-6 * next(speeds)
            now += seconds
            assert now < large.enqueued_at + CALLER_SECONDS, "a slice was in flight when its caller had to be answered"
            cost.observe(rows, seconds, now)
            large.fill(part.start, [WRITTEN] * len(part))
            queue.put_back(batch)
        sent = sent[codes(large.done.result()).count(WRITTEN.code.value) :]
    assert requests <= 1 + now // (LAST_START - BATCH_SECONDS)


_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.003); RETURN NEW; END $$;
CREATE TRIGGER slow BEFORE INSERT ON actions FOR EACH ROW EXECUTE FUNCTION slow()"""


async def test_a_request_that_takes_too_long_is_cut_and_each_answer_is_true(pool: Pool) -> None:
    """Three seconds of work: what is said to be written is, what is said not to be is not, and retries get there."""
    await add_users(pool, 1)
    await pool.execute(SLOW)
    sent = [Submission(1, "lesson", f"a-{n}") for n in range(1_000)]
    async with running_ledger(pool, cost=_known(0.004)) as ledger:
        async with asyncio.timeout(120):
            while True:
                told = codes(await ledger.writer.submit(sent))
                assert set(told) <= {"ok", "overloaded", "outcome_unknown"}
                if set(told) == {"ok"}:
                    break
                await _quiet(pool)
                written = {row[0] for row in await pool.fetch("SELECT action_identifier FROM actions")}
                assert {f"a-{n}" for n, code in enumerate(told) if code == "ok"} <= written
                assert not {f"a-{n}" for n, code in enumerate(told) if code == "overloaded"} & written
        assert set(told) == {"ok"}
        rows = await pool.fetchrow("SELECT count(*), count(DISTINCT batch_id) > 1 AS several FROM actions")
        assert tuple(rows) == (1_000, True)


def _known(seconds_per_row: float) -> CommitCost:
    cost = CommitCost()
    cost.seconds_per_row = seconds_per_row
    return cost


async def _quiet(pool: Pool) -> None:
    """Wait for the batch in flight: its users are locked until it ends."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE actions IN SHARE MODE")


async def test_a_request_in_parts_is_decided_in_order(pool: Pool) -> None:
    """As if it were one: scores grow from item to item, and a replay of the whole gets the same actions."""
    await add_users(pool, 1)
    sent = [Submission(1, "lesson", f"a-{n}") for n in range(300)]
    async with running_ledger(pool, cost=_known(0.005)) as ledger:
        results = await ledger.writer.submit(sent)
        again = await ledger.writer.submit(sent)
    assert [result.accepted.action.new_score for result in results] == [10 * n for n in range(1, 301)]
    assert await pool.fetchval("SELECT count(DISTINCT batch_id) FROM actions") > 1
    assert [one.accepted.action for one in again] == [one.accepted.action for one in results]
    assert {one.placement for one in again} == {present_placement(1, results[-1].placement.seq, "exact")}


async def test_others_are_not_kept_waiting_by_a_large_request(pool: Pool) -> None:
    """Between two slices of it a lane takes what came meanwhile."""
    await add_users(pool, 3)
    await pool.execute(SLOW)
    async with running_ledger(pool, lanes=2, cost=_known(0.004)) as ledger:
        large = asyncio.create_task(ledger.writer.submit([Submission(1, "lesson", f"a-{n}") for n in range(1_000)]))
        await asyncio.sleep(0)
        assert codes([await ledger.complete(2, "b")]) == ["ok"]
        assert not large.done()
        await large


async def test_behind_a_silent_ledger_nothing_is_overloaded(pool: Pool) -> None:
    """A caller behind a batch that does not end hears that the ledger is away, and that nothing was written."""
    await add_users(pool, 2)
    async with running_ledger(pool, lanes=1) as ledger, pool.acquire() as other:
        async with other.transaction():
            await other.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
            stuck = asyncio.create_task(ledger.complete(1, "stuck"))
            await eventually(lambda: pool.fetchval(_WAITING), bool, within=20)
            behind = await ledger.complete(2, "behind")
            assert codes([await stuck, behind]) == ["outcome_unknown", "database_unavailable"]
        assert codes([await ledger.complete(1, "stuck")]) == ["ok"]
        assert await pool.fetchval("SELECT count(*) FROM actions") == 1


async def test_a_replay_that_is_told_later_is_never_said_to_be_unwritten(pool: Pool) -> None:
    """Its batch is decided, and waits for the other nodes to show what it acknowledges: too long for its caller."""

    async def confirm(_: Sequence[Recorded]) -> float:
        return 10 * ANSWER_SECONDS

    await add_users(pool, 1)
    async with running_ledger(pool, confirm=confirm) as ledger:
        assert codes([await ledger.complete(1, "a")]) == ["ok"]
        sent = [Submission(1, "lesson", name) for name in ("a", "b")]
        told = codes(await ledger.writer.submit(sent))
        assert told == ["outcome_unknown"] * 2
        assert await pool.fetchval("SELECT count(*) FROM actions") == 2
