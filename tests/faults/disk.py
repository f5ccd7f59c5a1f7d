"""The disk of the ledger is full: a row that needs a file system of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg

from laurels.ledger.accounts import bootstrap
from laurels.ledger.db import migrations
from laurels.ledger.db import pool as ledger_pool
from laurels.web.auth.access_tokens import new_signing_key
from tests.faults.row import Row
from tests.faults.small import SmallScene
from tests.support.fault_proxy import FaultProxy
from tests.support.folders import reachable
from tests.support.polling import eventually
from tests.support.postgres import Cluster

DISK_MEGABYTES = 220
BLOCK = b"\0" * 65_536
ASKED_SECONDS = 5.0
REFUSED_SECONDS = 90.0
HEALED_SECONDS = 90.0


class NoDisk(Exception):
    """This machine mounts no file systems for us; the message says why."""


class DiskScene(SmallScene):
    """A small scene whose ledger lies on `disk`."""

    def __init__(self, database: Cluster, disk: Path, wire: FaultProxy, folder: Path) -> None:
        super().__init__(database.url, wire, folder)
        self.database = database
        self.disk = disk

    async def healthy(self) -> None:
        """PostgreSQL may have stopped for want of room: its operator, or Patroni, starts it again."""
        await eventually(self._serves, bool, within=HEALED_SECONDS)

    async def ready(self) -> list[bool]:
        return [await self._ready(node) for node in self.nodes]

    async def _serves(self) -> bool:
        try:
            await (await asyncpg.connect(self.database.url, timeout=ASKED_SECONDS)).close()
        except (OSError, asyncpg.PostgresError, TimeoutError):
            with contextlib.suppress(OSError, ledger_pool.DatabaseUnusable):
                await asyncio.to_thread(self.database.kill)
                await asyncio.to_thread(self.database.start)
        return all(await self.ready())


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own that is soon full. Raises NoDisk."""
    if os.geteuid() != 0:
        raise NoDisk("mounting needs root")
    image, mounted = folder / "image", reachable(folder) / "disk"
    mounted.mkdir()
    with image.open("wb") as file:
        file.truncate(DISK_MEGABYTES * 1024 * 1024)
    subprocess.run(["/sbin/mkfs.ext4", "-q", "-m", "0", image], check=True)
    if subprocess.run(["/bin/mount", "-o", "loop", image, mounted], check=False).returncode:
        raise NoDisk("this machine mounts no loop devices")
    mounted.chmod(0o755)
    try:
        yield mounted
    finally:
        subprocess.run(["/bin/umount", "--lazy", mounted], check=True)


@contextlib.contextmanager
def ledger_on(disk: Path) -> Iterator[Cluster]:
    """A ledger whose WAL is kept small, so that the disk is filled by the ballast alone."""
    database = Cluster(disk / "data")
    database.start()
    asyncio.run(_prepare(database.url))
    try:
        yield database
    finally:
        with contextlib.suppress(OSError):
            database.stop()


async def _prepare(url: str) -> None:
    pool = await ledger_pool.connect(url, size=6)
    await pool.execute("ALTER SYSTEM SET max_wal_size = '64MB'")
    await pool.execute("ALTER SYSTEM SET wal_recycle = off")
    await pool.execute("SELECT pg_reload_conf()")
    await migrations.migrate(pool)
    await bootstrap.prepare(pool, samples=True, new_signing_key=new_signing_key)
    await pool.close()


@contextlib.asynccontextmanager
async def disk_full(scene: DiskScene, dice: random.Random) -> AsyncIterator[None]:
    """Every byte is taken; when WAL needs a new segment there is none, and nodes must say so."""
    ballast = scene.disk / "ballast"
    await asyncio.to_thread(_fill, ballast)
    connection = await scene.truth()
    with contextlib.suppress(asyncpg.PostgresError, OSError):
        await connection.execute("SELECT pg_switch_wal()")
    connection.terminate()
    await eventually(scene.ready, lambda ready: not any(ready), within=REFUSED_SECONDS)
    yield
    ballast.unlink()


def _fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(BLOCK)


DISK_ROW = Row("disk of the ledger full (nothing may be acknowledged)", disk_full, gap=120, hold=3)
