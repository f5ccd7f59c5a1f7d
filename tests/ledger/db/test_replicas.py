"""Reads from a real streaming replica: never older than what anybody was shown, never waiting for one that fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import pytest
from tests.support.polling import eventually
from tests.support.postgres import Cluster, Standby, primary_and_standby

from laurels.domain.errors import Code, LaurelsError
from laurels.ledger.db import pool as ledger_pool
from laurels.ledger.db.pool import Pool
from laurels.ledger.db.replicas import Reads, replica

BOUND = 2.0
"""No read waits longer, whatever is wrong."""


class Scene(NamedTuple):
    primary: Cluster
    standby: Standby
    pool: Pool
    reads: Reads

    async def write(self, value: int) -> None:
        await self.pool.execute("UPDATE counter SET value = $1", value)

    async def read(self) -> int:
        async with asyncio.timeout(BOUND):
            (row,) = await self.reads.fetch("SELECT value FROM counter")
        return int(row["value"])

    async def where(self) -> bool:
        """Was a read answered by the replica?"""
        async with asyncio.timeout(BOUND):
            (row,) = await self.reads.fetch("SELECT pg_is_in_recovery() AS there")
        return bool(row["there"])


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Cluster, Standby]]:
    with primary_and_standby() as pair:
        yield pair


@pytest.fixture
async def scene(servers: tuple[Cluster, Standby]) -> AsyncIterator[Scene]:
    """A replica that serves; whatever a test does to the servers is undone behind it."""
    primary, standby = servers
    pool = await ledger_pool.connect(primary.url, size=6)
    await pool.execute("DROP TABLE IF EXISTS counter")
    await pool.execute("CREATE TABLE counter AS SELECT 0::bigint AS value")
    reads = Reads(pool, [await replica(standby.url, size=4)])
    looking = asyncio.create_task(reads.run())
    scene = Scene(primary, standby, pool, reads)
    try:
        await eventually(scene.where, bool)
        yield scene
    finally:
        standby.resume()
        await asyncio.to_thread(standby.go_on)
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        await reads.close()
        pool.terminate()


async def test_a_read_sees_what_was_written_before_it(scene: Scene) -> None:
    """Read your writes, and everybody's: a reader after a commit sees it, though a replica answers."""
    served = 0
    for value in range(1, 101):
        await scene.write(value)
        assert await scene.read() >= value
        served += await scene.where()
    assert served > 50, "the replica should have answered most of the time"


async def test_concurrent_readers_never_go_back(scene: Scene) -> None:
    """Twenty sessions read on while writes go on: none sees a value after a greater one, or less than was written."""
    written = 0

    async def session() -> None:
        seen = 0
        while written < 200:
            floor = written
            now = await scene.read()
            assert now >= max(seen, floor)
            seen = now

    sessions = [asyncio.create_task(session()) for _ in range(20)]
    for value in range(1, 201):
        await scene.write(value)
        written = value
    await asyncio.gather(*sessions)


async def test_a_replica_that_lags_is_not_read_and_comes_back(scene: Scene) -> None:
    await asyncio.to_thread(scene.standby.lag)
    await scene.write(7)
    assert await scene.read() == 7
    assert not await scene.where()
    assert "lags" in scene.reads.degraded()[0]
    await asyncio.to_thread(scene.standby.go_on)
    await eventually(scene.where, bool)
    assert scene.reads.degraded() == []
    assert await scene.read() == 7


async def test_a_replica_that_hangs_delays_no_one_for_long(scene: Scene) -> None:
    """Paused, it holds its connections and says nothing: reads go to the primary."""
    scene.standby.pause()
    await scene.write(8)
    assert await asyncio.gather(*(scene.read() for _ in range(50))) == [8] * 50
    assert scene.reads.degraded()
    scene.standby.resume()
    await eventually(scene.where, bool)


async def test_a_killed_replica_is_missed_by_no_one(scene: Scene) -> None:
    await asyncio.to_thread(scene.standby.kill)
    try:
        await scene.write(9)
        assert await asyncio.gather(*(scene.read() for _ in range(50))) == [9] * 50
        assert scene.reads.degraded()
    finally:
        await asyncio.to_thread(scene.standby.start)
    await eventually(scene.where, bool, within=10)


async def test_what_takes_long_is_refused_in_time_and_the_replica_serves_on(scene: Scene) -> None:
    """A top list of a huge window may be too much to count; that is not the replica's fault."""
    with pytest.raises(LaurelsError) as refusal:
        async with asyncio.timeout(BOUND):
            await scene.reads.fetch_heavy("SELECT pg_sleep(3)")
    assert refusal.value.code is Code.OVERLOADED
    assert await scene.where()
    (row,) = await scene.reads.fetch_heavy("SELECT pg_is_in_recovery() AS there, pg_sleep(0.7)")
    assert row["there"], "longer than other reads may take"


async def test_what_takes_long_is_asked_of_the_primary_when_the_replica_has_died(scene: Scene) -> None:
    await asyncio.to_thread(scene.standby.kill)
    try:
        async with asyncio.timeout(BOUND):
            (row,) = await scene.reads.fetch_heavy("SELECT pg_is_in_recovery() AS there")
        assert not row["there"]
    finally:
        await asyncio.to_thread(scene.standby.start)
    await eventually(scene.where, bool, within=10)


async def test_without_the_primary_the_replica_answers(scene: Scene) -> None:
    """Also while the primary hangs; and never with less than this node has known."""
    await scene.write(10)
    assert await scene.read() == 10
    scene.primary.pause()
    try:
        assert await scene.read() == 10
        assert await scene.where()
    finally:
        scene.primary.resume()
    await eventually(scene.where, bool)
    await scene.write(11)
    assert await scene.read() == 11


async def test_an_old_replica_does_not_stand_in_for_the_primary(scene: Scene) -> None:
    """It lags, and the primary is away: 503, rather than a past beyond which a client has already seen."""
    await asyncio.to_thread(scene.standby.lag)
    await scene.write(12)
    assert await scene.read() == 12
    scene.primary.pause()
    try:
        with pytest.raises(LaurelsError) as refused:
            await scene.read()
        assert refused.value.code is Code.DATABASE_UNAVAILABLE
        assert refused.value.retry_after
    finally:
        scene.primary.resume()
    await asyncio.to_thread(scene.standby.go_on)
    await eventually(scene.where, bool)


async def test_a_server_that_follows_no_primary_is_not_read(scene: Scene) -> None:
    """A promoted or mistaken server may hold another history."""
    stranger = Reads(scene.pool, [await replica(scene.primary.url, size=2)])
    looking = asyncio.create_task(stranger.run())
    await eventually(_asynchronously(stranger.degraded), lambda lacks: "not a replica" in lacks[0])
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    await stranger.close()


def _asynchronously(look):
    async def asked():
        return look()

    return asked
