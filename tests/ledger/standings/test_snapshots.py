"""Promises of snapshots and repairs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from tests.ledger.conftest import Ledger, add_users, running_ledger
from tests.support.polling import eventually

from laurels.ledger.accounts import erasure
from laurels.ledger.db.pool import Pool
from laurels.ledger.events.audit import SYSTEM
from laurels.ledger.standings import repair, snapshots
from laurels.ranking.verify import compare, prove, sample

_WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = 5498123"


async def test_a_snapshot_freezes_the_top_and_the_total(ledger: Ledger) -> None:
    await _play(ledger, people=5)
    window = await ledger.catalogue.window(ledger.catalogue.default_board)
    taken = await snapshots.freeze(ledger.pool, window)
    stored = json.loads(await ledger.pool.fetchval("SELECT top_scores FROM scoreboard_snapshots"))
    assert taken.total_users == 5
    assert [row["user_id"] for row in stored] == [5, 4, 3, 2, 1]
    assert [row["rank"] for row in stored] == [1, 2, 3, 4, 5]


async def test_a_name_erased_during_a_snapshot_is_not_frozen(ledger: Ledger) -> None:
    """A list that was read before the erasure and is written after it would keep the name for good."""
    await _play(ledger, people=3)
    pool, window = ledger.pool, await ledger.catalogue.window(ledger.catalogue.default_board)
    async with pool.acquire() as other:
        transaction = other.transaction()
        await transaction.start()
        await other.execute(snapshots.NO_FREEZING)
        freezing = asyncio.create_task(snapshots.freeze(pool, window))
        await eventually(lambda: other.fetchval(_WAITING), bool)
        await other.execute("UPDATE users SET username = 'gone-2' WHERE id = 2")
        await transaction.commit()
    await freezing
    async with pool.acquire() as other:
        transaction = other.transaction()
        await transaction.start()
        await other.execute("SELECT pg_advisory_xact_lock(5498123)")
        erasing = asyncio.create_task(erasure.erase(pool, SYSTEM, 3, None))
        await eventually(lambda: other.fetchval(_WAITING), bool)
        await other.execute(
            "INSERT INTO scoreboard_snapshots (window_id, top_scores, snapshot_time, total_users) "
            "SELECT window_id, top_scores, clock_timestamp(), total_users FROM scoreboard_snapshots"
        )
        await transaction.commit()
    assert await erasing
    for (stored,) in await pool.fetch("SELECT top_scores FROM scoreboard_snapshots"):
        names = {row["user_id"]: row["username"] for row in json.loads(stored)}
        assert names[2] == "gone-2"
        assert names[3].startswith("gone-")


async def test_ranks_are_recorded_for_everybody_and_taken_back(ledger: Ledger) -> None:
    """`users.rank` equals the sort; who is no longer on the board has none; unmoved ranks are not rewritten."""
    await _play(ledger, people=5)
    window = await ledger.catalogue.window(ledger.catalogue.default_board)
    assert await snapshots.record_ranks(ledger.pool, window) == 5
    assert await _ranks(ledger.pool) == {5: 1, 4: 2, 3: 3, 2: 4, 1: 5}
    await ledger.pool.execute("UPDATE standings SET hidden = true WHERE user_id = 5")
    assert await snapshots.record_ranks(ledger.pool, window) == 5
    assert await _ranks(ledger.pool) == {4: 1, 3: 2, 2: 3, 1: 4}
    assert await snapshots.record_ranks(ledger.pool, window) == 0


async def test_ranks_are_recorded_beside_a_running_load(pool: Pool) -> None:
    """In chunks and in lock order: neither side fails or waits for the whole of the other."""
    await add_users(pool, 3_000)
    async with running_ledger(pool) as ledger:
        window = await ledger.catalogue.window(ledger.catalogue.default_board)
        await asyncio.gather(*(ledger.complete(n, "first") for n in range(1, 3_001)))
        load = asyncio.gather(*(ledger.complete(n, "second") for n in range(1, 3_001, 7)))
        moved = await snapshots.record_ranks(pool, window)
        await load
    assert moved >= 2_990
    assert (await prove(pool, window)).unfolded == 0


async def test_a_proof_sees_what_a_hand_in_the_database_did(ledger: Ledger) -> None:
    """Changed standings and changed `current_score` are counted, repaired from the ledger, and gone."""
    await _play(ledger, people=6)
    window = await ledger.catalogue.window(ledger.catalogue.default_board)
    pool, node = ledger.pool, ledger.node
    assert (await prove(pool, window)).unfolded == 0
    await pool.execute("UPDATE standings SET score = 999, sort_score = ~999 WHERE user_id = 2")
    await pool.execute("DELETE FROM standings WHERE user_id = 3 AND window_id = $1", window.id)
    await pool.execute("UPDATE users SET current_score = 1 WHERE id = 4")
    assert (await prove(pool, window)).unfolded == 3
    assert await repair.refold(pool, window, node) == 3
    assert (await prove(pool, window)).unfolded == 0


async def test_drift_of_a_running_index_is_seen_and_rebuilt(ledger: Ledger) -> None:
    """By the full comparison and by the cheap sample; a rebuild answers exactly again."""
    await _play(ledger, people=6)
    window = await ledger.catalogue.window(ledger.catalogue.default_board)
    index, pool = ledger.projection.index, ledger.pool
    assert await compare(index, pool, window) == 0
    assert await sample(index, pool, window) == 0
    await pool.execute("UPDATE standings SET score = 5, sort_score = ~5, version = version + 1 WHERE user_id = 2")
    assert await compare(index, pool, window) == 1
    assert await sample(index, pool, window) == 1
    await ledger.projection.rebuild()
    assert await compare(index, pool, window) == 0


async def test_a_member_that_is_missing_is_counted(ledger: Ledger) -> None:
    await _play(ledger, people=6)
    window = await ledger.catalogue.window(ledger.catalogue.default_board)
    await ledger.pool.execute("DELETE FROM standings WHERE user_id = 6 AND window_id = $1", window.id)
    assert await sample(ledger.projection.index, ledger.pool, window) == 2  # the member, and the count


async def test_writing_while_comparing_is_no_drift(ledger: Ledger) -> None:
    await _play(ledger, people=10)
    window = await ledger.catalogue.window(ledger.catalogue.default_board)
    load = asyncio.gather(*(ledger.complete(n % 10 + 1, f"x{n}") for n in range(300)))
    drift = await compare(ledger.projection.index, ledger.pool, window)
    await load
    assert drift == 0


async def _play(ledger: Ledger, people: int) -> None:
    """User n completes n lessons."""
    for user in range(1, people + 1):
        for n in range(user):
            await ledger.complete(user, f"i{n}")


async def _ranks(pool: Pool) -> dict[int, int]:
    return dict(await pool.fetch("SELECT id, rank FROM users WHERE rank IS NOT NULL"))


async def test_two_rebuilds_at_once_wait_for_each_other(ledger: Ledger) -> None:
    """Neither fails, no half-made copy stays behind, and the index is exact."""
    await _play(ledger, people=6)
    window = await ledger.catalogue.window(ledger.catalogue.default_board)
    await asyncio.gather(ledger.projection.rebuild(), ledger.projection.rebuild())
    assert await compare(ledger.projection.index, ledger.pool, window) == 0
    assert ledger.projection.index._rebuilding == {}


async def test_a_rebuild_that_fails_leaves_nothing_behind(ledger: Ledger) -> None:
    """The old copy goes on answering, and live changes are no longer applied twice."""
    await _play(ledger, people=3)

    def fail(done: int, total: int) -> None:
        raise RuntimeError("the operator gave up")

    with pytest.raises(RuntimeError):
        await ledger.projection.rebuild(fail)
    assert ledger.projection.index._rebuilding == {}
    window = await ledger.catalogue.window(ledger.catalogue.default_board)
    assert await compare(ledger.projection.index, ledger.pool, window) == 0


async def test_of_several_nodes_one_takes_the_snapshot(pool: Pool) -> None:
    """Five at the same moment: each window is frozen once; what is young is not frozen again, what is due is."""
    await add_users(pool, 3)
    async with running_ledger(pool) as ledger:
        await _play(ledger, people=3)
        windows = len(await ledger.catalogue.windows_at(datetime.now(UTC)))

        def look(seconds: float) -> Awaitable[list[snapshots.Snapshot]]:
            return snapshots.take_due(pool, ledger.catalogue, uuid4(), seconds)

        taken = await asyncio.gather(*(look(300) for _ in range(5)))
        assert sorted(map(len, taken)) == [0, 0, 0, 0, windows]
        assert await look(300) == []
        await pool.execute("UPDATE scoreboard_snapshots SET snapshot_time = snapshot_time - interval '1 hour'")
        assert len(await look(300)) == windows
    assert await pool.fetchval("SELECT count(*) FROM scoreboard_snapshots") == 2 * windows
    assert await pool.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
