"""Promises of the group commit, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from tests.ledger.conftest import Ledger, add_users, codes, running_ledger
from tests.support.polling import eventually

from laurels.domain.actions import Submission
from laurels.domain.errors import Code, LaurelsError
from laurels.ledger.db.pool import Pool
from laurels.ledger.write.writer import DecidedAction

_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


async def test_two_processes_at_once_never_pass_a_cap(pool: Pool) -> None:
    """Two writers with lanes of their own, fifty requests at once: exactly the cap is awarded."""
    await add_users(pool, 1)
    await pool.execute("UPDATE action_types SET scoring_rules = '{\"total_cap\": 5}' WHERE name = 'lesson'")
    async with running_ledger(pool) as one, running_ledger(pool) as other:
        results = await asyncio.gather(
            *(ledger.complete(1, f"{name}-{n}") for n in range(25) for name, ledger in (("a", one), ("b", other)))
        )
    assert codes(results).count("ok") == 5
    assert set(codes(results)) == {"ok", "total_cap_reached"}
    assert await pool.fetchval("SELECT current_score FROM users WHERE id = 1") == 50


async def test_two_processes_at_once_never_pass_a_cooldown(pool: Pool) -> None:
    await add_users(pool, 1)
    await pool.execute("UPDATE action_types SET scoring_rules = '{\"cooldown_seconds\": 600}' WHERE name = 'lesson'")
    async with running_ledger(pool) as one, running_ledger(pool) as other:
        results = await asyncio.gather(
            *(ledger.complete(1, f"{name}-{n}") for n in range(10) for name, ledger in (("a", one), ("b", other)))
        )
    assert sorted(codes(results)) == ["cooldown_active"] * 19 + ["ok"]


async def test_one_identifier_on_two_processes_counts_once(pool: Pool) -> None:
    await add_users(pool, 1)
    async with running_ledger(pool) as one, running_ledger(pool) as other:
        results = await asyncio.gather(*(ledger.complete(1, "same") for _ in range(10) for ledger in (one, other)))
    assert codes(results) == ["ok"] * 20
    assert len({result.accepted.action.action_id for result in results}) == 1
    assert sum(not result.accepted.replayed for result in results) == 1


async def test_a_poisoned_action_never_fails_its_neighbours(ledger: Ledger) -> None:
    """An action that PostgreSQL can't store is found by halving the batch; everybody else is awarded."""
    poison = '{"a": "\\u0000"}'
    results = await asyncio.gather(
        *(ledger.complete(n, f"i{n}", metadata=poison if n == 7 else None) for n in range(1, 21))
    )
    assert codes(results) == ["ok"] * 6 + ["action_unwritable"] + ["ok"] * 13
    assert await ledger.pool.fetchval("SELECT count(*) FROM actions") == 19


async def test_items_of_one_request_share_one_commit(ledger: Ledger) -> None:
    results = await ledger.writer.submit([Submission(1, "lesson", f"i{n}") for n in range(100)])
    assert codes(results) == ["ok"] * 100
    assert await ledger.pool.fetchval("SELECT count(DISTINCT batch_id) FROM actions") == 1
    assert [result.accepted.action.new_score for result in results] == [10 * n for n in range(1, 101)]


async def test_a_lane_leaves_the_others_their_share(pool: Pool) -> None:
    """All wait before the first lane takes: three lanes write three batches, not one lane one."""
    await add_users(pool, 120)
    async with running_ledger(pool, lanes=3) as ledger:
        await asyncio.gather(*(ledger.complete(user, "a") for user in range(1, 121)))
    sizes = await pool.fetch("SELECT count(*) FROM actions GROUP BY batch_id ORDER BY 1 DESC")
    assert sizes[0]["count"] == 40
    assert sum(row["count"] for row in sizes) == 120


async def test_a_full_queue_refuses_at_once(pool: Pool) -> None:
    """The limit counts actions, and what was queued before is still decided."""
    await add_users(pool, 1)
    async with running_ledger(pool, queue_limit=3) as ledger:
        waiting = [asyncio.create_task(ledger.complete(1, f"i{n}")) for n in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(LaurelsError) as refused:
            await ledger.complete(1, "one-too-many")
        assert refused.value.code is Code.OVERLOADED
        assert codes(await asyncio.gather(*waiting)) == ["ok"] * 3


async def test_a_caller_that_goes_away_neither_loses_nor_doubles(ledger: Ledger) -> None:
    """The queued action belongs to the ledger; asked again, it answers with the first receipt."""
    caller = asyncio.create_task(ledger.complete(1, "a"))
    await asyncio.sleep(0)
    caller.cancel()
    again = await ledger.complete(1, "a")
    assert isinstance(again, DecidedAction)
    assert again.accepted.replayed
    assert await ledger.scores() == {1: 10}


async def test_lanes_come_back_after_their_connections_were_cut(ledger: Ledger) -> None:
    """Every answer is honest: awarded, or refused as retryable; after a retry each counts exactly once."""
    await ledger.complete(1, "warm")

    async def cut() -> None:
        await ledger.pool.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    first = asyncio.gather(*(ledger.complete(n, f"i{n}") for n in range(1, 31)))
    await cut()
    retryable = {"ok", "database_unavailable", "outcome_unknown"}
    assert set(codes(await first)) <= retryable
    async with asyncio.timeout(20):
        for n in range(1, 31):
            while codes([await ledger.complete(n, f"i{n}")]) != ["ok"]:  # noqa: ASYNC110  as a client would
                await asyncio.sleep(0.05)
    assert await ledger.pool.fetchval("SELECT count(*) FROM actions WHERE action_identifier <> 'warm'") == 30


async def test_a_batch_that_can_not_finish_ends_at_its_deadline(pool: Pool) -> None:
    """The connection is closed, not cancelled; nothing was written, and the next action goes through."""
    await add_users(pool, 2)
    async with running_ledger(pool, deadline=0.3, lanes=2) as ledger, pool.acquire() as blocker:
        async with blocker.transaction():
            await blocker.execute("SELECT FROM users WHERE id = 1 FOR UPDATE")
            stuck = await ledger.complete(1, "stuck")
        assert codes([stuck])[0] in {"outcome_unknown", "database_unavailable"}
        assert codes([await ledger.complete(1, "stuck")]) == ["ok"]
    assert await pool.fetchval("SELECT count(*) FROM actions") == 1


async def test_a_window_that_ended_meanwhile_is_replaced(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger's clock decides: a process whose own clock is a month behind writes into this week all the same."""
    catalogue, now = ledger.catalogue, datetime.now(UTC)
    this_week = await catalogue.window(catalogue.board("points-weekly"), now)
    ask = catalogue.windows_at
    slow_clock = iter([now - timedelta(days=30)])
    monkeypatch.setattr(catalogue, "windows_at", lambda instant: ask(next(slow_clock, instant)))
    assert codes([await ledger.complete(1, "a")]) == ["ok"]
    rows = await ledger.pool.fetch("SELECT window_id FROM standings WHERE user_id = 1")
    assert this_week.id in {row["window_id"] for row in rows}
    assert len(rows) == 2


async def test_a_replay_writes_before_it_answers(ledger: Ledger) -> None:
    """A transaction that wrote nothing would not wait for a synchronous standby: a replay takes a transaction id."""
    await ledger.complete(1, "a")
    before = await _next_transaction(ledger.pool)
    await ledger.complete(1, "a")
    assert await _next_transaction(ledger.pool) > before


async def test_a_replay_after_a_restart_has_the_rank_now(pool: Pool) -> None:
    """A second process answers with the same action, at the place that its user has then."""
    await add_users(pool, 3)
    async with running_ledger(pool) as first:
        for n in (1, 2, 3):
            told = await first.complete(n, "a", "quiz" if n == 3 else "lesson")
    async with running_ledger(pool) as second:
        await second.projection.load()
        assert (await second.complete(1, "b", "quiz")).placement.rank == 1
        again = await second.complete(3, "a", "quiz")
    assert (again.accepted.action, again.accepted.replayed) == (told.accepted.action, True)
    assert (told.placement.rank, again.placement.rank, again.placement.previous_rank) == (1, 2, None)


async def _next_transaction(pool: Pool) -> int:
    return int(await pool.fetchval("SELECT pg_snapshot_xmax(pg_current_snapshot())::text"))


async def test_no_one_waits_behind_the_lock_of_another(ledger: Ledger) -> None:
    """A lane that waits for a user's row holds up that user; the others are answered meanwhile."""
    async with ledger.pool.acquire() as other, other.transaction():
        await other.execute("SELECT FROM users WHERE id = 1 FOR NO KEY UPDATE")
        stuck = asyncio.create_task(ledger.complete(1, "stuck"))
        await eventually(lambda: ledger.pool.fetchval(_WAITING), bool, within=20)
        async with asyncio.timeout(4):  # well below the lock's own time-out
            free = await asyncio.gather(*(ledger.complete(user, "free") for user in range(2, 10)))
        assert codes(free) == ["ok"] * 8
        assert not await ledger.pool.fetchval("SELECT count(*) FROM actions WHERE user_id = 1")
    assert codes([await stuck]) in (["ok"], ["outcome_unknown"])  # the latter when this took long
    assert codes([await ledger.complete(1, "stuck")]) == ["ok"]


async def test_a_caller_is_told_in_time_and_the_entry_is_decided_all_the_same(pool: Pool) -> None:
    """Another session holds the user's row: the caller hears that the outcome is not known, and the row counts once."""
    await add_users(pool, 1)
    async with running_ledger(pool) as ledger:
        async with pool.acquire() as holder, holder.transaction():
            await holder.execute("SELECT FROM users WHERE id = 1 FOR UPDATE")
            assert codes([await ledger.complete(1, "slow")]) == ["outcome_unknown"]
            assert await pool.fetchval("SELECT count(*) FROM actions") == 0
        again = await ledger.complete(1, "slow")
    assert codes([again]) == ["ok"]
    assert await pool.fetchval("SELECT count(*) FROM actions") == 1
