"""A slow primary is waited for and called busy; a silent one is called away within two seconds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
from tests.support.fault_proxy import FaultProxy
from tests.support.node import running_node
from tests.support.polling import eventually

from laurels.config import Settings
from laurels.domain.errors import Code, LaurelsError
from laurels.ledger.db import pool as ledger_pool
from laurels.ledger.db.liveness import liveness
from laurels.ledger.db.pool import Pool, acquire, acquire_per_statement, acquire_within
from laurels.ledger.db.replicas import Reads

pytestmark = pytest.mark.timeout(60)

BOUND = 2.0
SLACK = 3.0
"""The machine that tests run on is busy with more than the service."""
LONGER_THAN_SILENCE = "SELECT 1 AS one, pg_sleep(2.2)"


@pytest.fixture
async def wire(database_url: str) -> AsyncIterator[FaultProxy]:
    socket = Path(parse_qs(urlsplit(database_url).query)["host"][0]) / ".s.PGSQL.5432"
    async with FaultProxy(socket).running() as wire:
        yield wire


def through(wire: FaultProxy, database_url: str) -> str:
    return f"postgresql://postgres@127.0.0.1:{wire.port}{urlsplit(database_url).path}"


@contextlib.asynccontextmanager
async def others_are_answered(pool: Pool) -> AsyncIterator[None]:
    """As in a node, which reads the journal twice a second."""

    async def ask() -> None:
        while True:
            async with acquire(pool) as connection:
                await connection.fetchval("SELECT 1")
            await asyncio.sleep(0.1)

    asking = asyncio.create_task(ask())
    try:
        yield
    finally:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


async def test_a_read_that_takes_long_is_waited_for_while_others_are_answered(pool: Pool) -> None:
    async with others_are_answered(pool):
        (row,) = await Reads(pool).fetch(LONGER_THAN_SILENCE)
        assert row["one"] == 1
        for kind in (acquire_within, acquire_per_statement):
            async with kind(pool) as connection:
                assert (await connection.fetchrow(LONGER_THAN_SILENCE))["one"] == 1


async def test_what_takes_longer_than_its_route_may_is_told_that_the_ledger_is_busy(pool: Pool) -> None:
    """Another session holds the table without end; the database is well."""
    holder = await pool.acquire()
    transaction = holder.transaction()
    await transaction.start()
    await holder.execute("LOCK TABLE users")

    async def asked_promptly() -> None:
        async with acquire_within(pool) as connection:
            await connection.fetch("SELECT FROM users")

    async with others_are_answered(pool):
        answers = await asyncio.gather(Reads(pool).fetch("SELECT FROM users"), asked_promptly(), return_exceptions=True)
    assert [(answer.code, answer.retry_after) for answer in answers] == [(Code.OVERLOADED, 2)] * 2
    await transaction.rollback()
    await pool.release(holder)


async def test_a_silent_primary_is_told_within_two_seconds(database_url: str, wire: FaultProxy) -> None:
    pool = await ledger_pool.connect(through(wire, database_url), size=6)
    reads = Reads(pool)
    await reads.fetch("SELECT 1")
    wire.half_open = True

    async def asked_promptly() -> None:
        async with acquire_within(pool) as connection:
            await connection.fetch("SELECT 1")

    async with asyncio.timeout(BOUND + SLACK):
        answers = await asyncio.gather(
            *(reads.fetch("SELECT 1") for _ in range(30)), asked_promptly(), return_exceptions=True
        )
    assert {answer.code for answer in answers} == {Code.DATABASE_UNAVAILABLE}
    wire.heal()
    pool.terminate()


async def test_reads_that_would_wait_in_too_long_a_queue_are_refused_at_once(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness(pool).reads, "admitted", 12)
    reads = Reads(pool)
    async with others_are_answered(pool):
        answers = await asyncio.gather(
            *(reads.fetch("SELECT 1 AS one, pg_sleep(0.3)") for _ in range(20)), return_exceptions=True
        )
        assert [answer.code for answer in answers if isinstance(answer, LaurelsError)] == [Code.OVERLOADED] * 8
        assert len([answer for answer in answers if isinstance(answer, list)]) == 12
        assert await reads.fetch("SELECT 1")  # the places in the queue were given back


_SLEEPING = """
SELECT count(*) FROM pg_stat_activity
WHERE query = 'SELECT pg_sleep(60)' AND wait_event = 'PgSleep' AND datname = current_database()"""


async def test_slow_reads_leave_the_journal_a_connection(settings: Settings, pool: Pool) -> None:
    """However many lanes there are: by the journal the node hears the server, and learns of bans."""
    narrow = replace(settings, lanes=5, pool_size=8)
    async with running_node(narrow) as node:
        reads, journal = node.services.reads, node.parts.journal
        slow = [asyncio.create_task(reads.fetch("SELECT pg_sleep(60)")) for _ in range(8)]
        await eventually(lambda: pool.fetchval(_SLEEPING), lambda sleeping: sleeping >= 2, within=20)
        await journal.read()
        assert not any(task.done() for task in slow)
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)


async def test_what_a_server_refuses_for_being_busy_is_not_called_away(pool: Pool) -> None:
    async def cancelled_by_the_server() -> None:
        async with acquire(pool) as connection:
            await connection.execute("SET statement_timeout = 50")
            await connection.execute("SELECT pg_sleep(5)")

    with pytest.raises(LaurelsError) as refusal:
        await cancelled_by_the_server()
    assert refusal.value.code is Code.OVERLOADED


async def test_names_not_yet_known_are_read_from_a_slow_database(
    settings: Settings, database_url: str, wire: FaultProxy
) -> None:
    """Every byte takes its time: neighbours and ranks of people whom the node does not know arrive all the same."""
    names = [f"person-{n}" for n in range(3)]
    async with running_node(replace(settings, database_url=through(wire, database_url))) as node:
        for name in names:
            assert (await node.complete(await node.token(name), "x"))[0] == 201
        node.services.directory.forget()
        wire.latency = 0.15
        paths = [f"/api/boards/points/{what}/{name}" for name in names for what in ("around", "rank")]
        answers = await asyncio.gather(*map(node.get, paths))
        assert [(status, body.get("code")) for status, body in answers] == [(200, None)] * len(paths)
        status, ready = await node.get("/readyz")
        assert (status, ready["degraded"]) == (200, [])
        wire.heal()


async def test_a_connection_that_was_cut_tells_nothing_of_the_server(pool: Pool, database_url: str) -> None:
    """Giving back what is closed asks no server: it must not count as an answer."""
    server = liveness(pool)
    server.heard_at = float("-inf")
    with contextlib.suppress(LaurelsError):
        async with acquire(pool) as connection:
            admin = await asyncpg.connect(database_url)
            await admin.execute("SELECT pg_terminate_backend($1)", connection.get_server_pid())
            await admin.close()
            await connection.fetch("SELECT 1")
    assert server.heard_at == float("-inf")
