"""Promises of the migrations."""

from __future__ import annotations

import asyncpg
import pytest
from tests.support.schema import COMMITTED, dump

from laurels.ledger.db import migrations
from laurels.ledger.db import pool as ledger_pool
from laurels.ledger.db.pool import DatabaseUnusable, Pool


async def test_the_migrations_give_the_committed_schema(database_url: str) -> None:
    """`schema.sql` is what a reader may trust."""
    assert dump(database_url) == COMMITTED.read_text(), (
        "run: .venv/bin/python -m tests.support.schema > src/laurels/ledger/schema.sql"
    )


async def test_migrating_twice_changes_nothing(pool: Pool) -> None:
    assert await migrations.migrate(pool) == []


async def test_an_edited_migration_is_refused(pool: Pool) -> None:
    await pool.execute("UPDATE schema_migrations SET checksum = 'other'")
    with pytest.raises(DatabaseUnusable, match="was edited"):
        await migrations.migrate(pool)


async def test_a_newer_database_is_refused(pool: Pool) -> None:
    """An old program on a new schema would write rows that the new one does not expect."""
    await pool.execute("INSERT INTO schema_migrations (name, checksum) VALUES ('9999_future.sql', '')")
    with pytest.raises(DatabaseUnusable, match=r"9999_future.sql"):
        await migrations.migrate(pool)


async def test_two_nodes_may_migrate_at_once(postgres: str) -> None:
    """One applies, the other waits and finds nothing to do."""
    import asyncio

    admin = await asyncpg.connect(postgres)
    await admin.execute("CREATE DATABASE twonodes")
    url = postgres.replace("/postgres?", "/twonodes?")
    pools = [await ledger_pool.connect(url, size=6) for _ in range(2)]
    applied = await asyncio.gather(*(migrations.migrate(pool) for pool in pools))
    assert sorted(len(names) for names in applied) == [0, len(migrations.scripts())]
    for pool in pools:
        await pool.close()
    await admin.execute("DROP DATABASE twonodes WITH (FORCE)")
    await admin.close()
