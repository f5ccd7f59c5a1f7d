"""Rows about networks that are cut: packets vanish, connections stay open, and each side believes what it knows."""

from __future__ import annotations

import contextlib
import random
from collections.abc import AsyncIterator

from deploy.cluster.network import HERE, MACHINES

from tests.faults.row import Row
from tests.faults.scene import Scene

DATABASES = [machine for machine in MACHINES if machine.startswith("db-")]
CACHES = [machine for machine in MACHINES if machine.startswith("cache-")]


@contextlib.asynccontextmanager
async def leader_apart(scene: Scene, dice: random.Random) -> AsyncIterator[None]:
    """The leader reaches neither etcd nor a standby, and nodes still reach it: what it says now must not count."""
    leader = scene.machine(scene.primary())
    await scene.cut(leader, _others(leader, DATABASES))
    yield
    await scene.mend()


@contextlib.asynccontextmanager
async def leader_and_clients_apart(scene: Scene, dice: random.Random) -> AsyncIterator[None]:
    """Nodes are on the leader's side and reach no other server: they keep asking it although others decide by now."""
    leader = scene.machine(scene.primary())
    for machine in _others(leader, DATABASES):
        await scene.cut(machine, [leader, HERE])
    yield
    await scene.mend()


@contextlib.asynccontextmanager
async def clients_apart(scene: Scene, dice: random.Random) -> AsyncIterator[None]:
    """The databases are well, and the nodes can't reach the leader."""
    await scene.cut(scene.machine(scene.primary()), [HERE])
    yield
    await scene.mend()


@contextlib.asynccontextmanager
async def redis_apart(scene: Scene, dice: random.Random) -> AsyncIterator[None]:
    """Two primaries: the old one, which nodes still reach, and the one that the sentinels made."""
    primary = scene.machine(scene.redis_primary())
    await scene.cut(primary, _others(primary, CACHES))
    yield
    await scene.mend()


@contextlib.asynccontextmanager
async def redis_unreachable(scene: Scene, dice: random.Random) -> AsyncIterator[None]:
    """Make the Redis primary unreachable without breaking a connection."""
    primary = scene.machine(scene.redis_primary())
    await scene.cut(primary, [*_others(primary, CACHES), HERE])
    yield
    await scene.mend()


def _others(machine: str, machines: list[str]) -> list[str]:
    return [other for other in machines if other != machine]


PARTITION_ROWS = (
    Row("leader cut off from etcd and standbys, nodes reach it", leader_apart, gap=25, hold=35),
    Row(
        "leader and nodes cut off from the rest (nothing may be acknowledged)",
        leader_and_clients_apart,
        gap=60,
        hold=35,
    ),
    Row("nodes cut off from the leader", clients_apart, gap=12, hold=5),
    Row("Redis primary cut off from replica and sentinels, nodes reach it", redis_apart, gap=1, hold=12),
    Row("Redis primary cut off from everybody", redis_unreachable, gap=1, hold=12),
)
