"""The journal misses no commit of another process, however late it commits."""

from __future__ import annotations

from uuid import UUID, uuid4

from laurels.ledger.db.pool import Pool
from laurels.ledger.events.journal import Journal, announce

ME, OTHER = UUID(int=1), UUID(int=2)


async def test_a_commit_that_comes_late_is_not_lost(pool: Pool) -> None:
    """A tail by `id > last_seen` would skip the first entry, which becomes visible after the second."""
    journal = Journal(pool, ME)
    await journal.start()
    async with pool.acquire() as slow:
        transaction = slow.transaction()
        await transaction.start()
        await announce(slow, OTHER, "standings", [1])
        async with pool.acquire() as quick:
            await announce(quick, OTHER, "standings", [2])
        assert [entry.ids for entry in await journal.read()] == [[2]]
        await transaction.commit()
    assert [entry.ids for entry in await journal.read()] == [[1]]
    assert await journal.read() == []


async def test_own_commits_and_old_ones_are_left_out(pool: Pool) -> None:
    async with pool.acquire() as connection:
        await announce(connection, OTHER, "users", [7])
        journal = Journal(pool, ME)
        await journal.start()
        await announce(connection, ME, "users", [8])
        await announce(connection, OTHER, "users", [9])
    assert [entry.ids for entry in await journal.read()] == [[9]]


async def test_trimming_keeps_the_newest_entry(pool: Pool) -> None:
    """And it alone, in as many steps as it takes. Its id marks how far the ledger has come: no seq may go back."""
    async with pool.acquire() as connection:
        for _ in range(7):
            await announce(connection, uuid4(), "standings", [1])
        await connection.execute("UPDATE journal SET created_at = now() - interval '2 days'")
    await Journal(pool, ME).trim(at_once=2)
    assert await pool.fetchval("SELECT count(*) FROM journal") == 1
