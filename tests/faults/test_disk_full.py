"""The disk of the ledger is full: nothing acknowledged is lost, the node says so, and work goes on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from laurels.ledger import bootstrap, migrations
from laurels.ledger import pool as ledger_pool
from laurels.web.tokens import new_signing_key
from tests.faults.checker import check, read_truth
from tests.faults.load import Load
from tests.support.folders import reachable
from tests.support.polling import eventually
from tests.support.postgres import Cluster
from tests.support.server import LaurelsServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

DISK_MEGABYTES = 220
BLOCK = b"\0" * 65_536


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that is soon full."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    image, folder = tmp_path / "image", reachable(tmp_path) / "disk"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(DISK_MEGABYTES * 1024 * 1024)
    subprocess.run(["/sbin/mkfs.ext4", "-q", "-m", "0", image], check=True)
    mounted = subprocess.run(["/bin/mount", "-o", "loop", image, folder], check=False)
    if mounted.returncode:
        pytest.skip("this machine mounts no loop devices")
    folder.chmod(0o755)
    yield folder
    subprocess.run(["/bin/umount", "--lazy", folder], check=True)


@pytest.fixture
def full_database(small_disk: Path) -> Iterator[Cluster]:
    cluster = Cluster(small_disk / "data")
    cluster.start()
    yield cluster
    with contextlib.suppress(OSError):
        cluster.stop()


async def test_a_full_disk_loses_nothing_and_heals(full_database: Cluster, small_disk: Path, tmp_path: Path) -> None:
    await _prepare(full_database.url)
    server = LaurelsServer(full_database.url, tmp_path / "node.log")
    await asyncio.to_thread(server.start)
    load = Load(server.url, True, seed=1)
    try:
        await load.start(6, 1, "disk")
        await eventually(lambda: _count(load), lambda count: count > 50, within=20)
        ballast = _fill(small_disk)
        stopped = await _until_nothing_is_acknowledged(load)
        await eventually(lambda: _ready(server), lambda ready: not ready, within=30)
        ballast.unlink()
        await eventually(lambda: _serves(server, full_database), lambda ready: ready, within=90)
        await eventually(lambda: _count(load), lambda count: count > stopped + 50, within=60)
        async with asyncio.timeout(60):
            await load.finish_playing()
        connection = await asyncpg.connect(full_database.url)
        findings = check(load, await read_truth(connection))
        await connection.close()
        assert findings.broken == []
    finally:
        await load.close()
        await asyncio.to_thread(server.stop)


async def _prepare(url: str) -> None:
    """A ledger whose WAL is kept small, so that the disk is filled by the ballast alone."""
    pool = await ledger_pool.connect(url, size=6)
    await pool.execute("ALTER SYSTEM SET max_wal_size = '64MB'")
    await pool.execute("ALTER SYSTEM SET wal_recycle = off")
    await pool.execute("SELECT pg_reload_conf()")
    await migrations.migrate(pool)
    await bootstrap.prepare(pool, samples=True, signing_key=new_signing_key())
    await pool.close()


def _fill(folder: Path) -> Path:
    """Take every free byte."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(BLOCK)
    return ballast


async def _count(load: Load) -> int:
    return len(load.acknowledged)


async def _until_nothing_is_acknowledged(load: Load) -> int:
    """The disk is full to the last byte only when WAL needs a new segment: wait for two quiet seconds."""
    async with asyncio.timeout(120):
        while True:
            before = len(load.acknowledged)
            await asyncio.sleep(2)
            if len(load.acknowledged) == before:
                return before


async def _ready(server: LaurelsServer) -> bool:
    try:
        await asyncio.to_thread(server.get, "/readyz")
    except OSError:
        return False
    return True


async def _serves(server: LaurelsServer, cluster: Cluster) -> bool:
    """PostgreSQL may have stopped for want of room: its operator, or Patroni, starts it again."""
    if not await _ready(server):
        with contextlib.suppress(Exception):
            await asyncio.to_thread(cluster.kill)
            await asyncio.to_thread(cluster.start)
        return False
    return True
