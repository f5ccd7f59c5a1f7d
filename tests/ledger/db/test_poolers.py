"""A pooler between a node and PostgreSQL: one that shares sessions is refused, and never ends a node."""

from __future__ import annotations

import asyncio
import json
import subprocess
from typing import Any

import asyncpg
import pytest
from tests.cli.commands import laurels
from tests.support.pgbouncer import IGNORED, needs_pgbouncer, pooler

from laurels.ledger.db import pool as ledger_pool
from laurels.ledger.db.pool import DatabaseUnusable

pytestmark = needs_pgbouncer


@pytest.mark.parametrize("mode", ["transaction", "statement"])
@pytest.mark.parametrize("round_robin", [False, True])
async def test_a_pooler_that_shares_sessions_is_refused(database_url: str, mode: str, round_robin: bool) -> None:
    """Whichever server it picks for a transaction, and whichever clients are at work besides."""
    with pooler(database_url, mode, round_robin=round_robin) as bouncer:
        others = [asyncio.create_task(work(bouncer.url)) for _ in range(3)] if mode == "transaction" else []
        for _ in range(10):
            with pytest.raises(DatabaseUnusable, match="transaction mode"):
                await ledger_pool.connect(bouncer.url, size=6)
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)


async def work(url: str) -> None:
    """Another client of the same pooler, which takes and gives back servers all the time."""
    connection = await asyncpg.connect(url, statement_cache_size=0)
    try:
        while True:
            await connection.execute("BEGIN; SELECT pg_sleep(0.001); COMMIT")
    finally:
        connection.terminate()


async def test_a_pooler_in_session_mode_serves(database_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Each connection has a server of its own; prepared statements and locks hold."""
    with pooler(database_url, "session") as bouncer:
        pool = await ledger_pool.connect(bouncer.url, size=4)
        for _ in range(20):
            async with pool.acquire() as connection:
                assert await connection.fetchval("SELECT $1::int + 1", 1) == 2
        pool.terminate()


def test_the_operator_reads_one_line(database_url: str) -> None:
    """Also where the pooler refuses our settings before it comes to anything else."""
    for ignored, word in ((IGNORED, "pool_mode = session"), ("extra_float_digits", "pooler")):
        with pooler(database_url, "transaction", ignored=ignored) as bouncer:
            done = laurels("serve", DATABASE_URL=bouncer.url, LAURELS_PORT=0)
        assert done.returncode == 2
        assert done.stderr.startswith("laurels: ")
        assert done.stderr.count("\n") == 1
        assert word in done.stderr


def test_settings_that_a_pooler_drops_are_named(database_url: str) -> None:
    """Statements without a time limit are worth a line."""
    with pooler(database_url, "session") as bouncer:
        done = laurels("migrate", DATABASE_URL=bouncer.url)
    assert done.returncode == 0, done.stderr
    assert warnings(done)[0]["message"].startswith("a pooler drops connection settings")
    assert "statement_timeout" in json.dumps(warnings(done))
    assert warnings(laurels("migrate", DATABASE_URL=database_url)) == []


def warnings(done: subprocess.CompletedProcess[str]) -> list[Any]:
    return [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
