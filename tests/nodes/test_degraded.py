"""Degraded, never wrong: every row of that table, with real servers.

During each fault: acknowledged writes stay exactly once, no wrong rank is served, refusals are 503 with Retry-After,
no one waits for longer than two seconds. After it: back to normal by itself, index and ledger agree.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import aiohttp
import asyncpg
import pytest
from tests.nodes.scenario import Load, board, truth, verdict
from tests.support.node import InProcessNode, running_node
from tests.support.polling import eventually
from tests.support.postgres import Cluster, Standby, primary_and_standby
from tests.support.redis import RedisServer, SlowDoor

from laurels.config import Settings

PLAYERS = 8
ACTIONS = 12
RECOVERY = 10.0


@dataclass
class Scene:
    """Two nodes over a primary, a standby and a Redis of their own."""

    primary: Cluster
    standby: Standby
    redis: RedisServer
    nodes: list[InProcessNode]
    http: aiohttp.ClientSession
    load: Load
    settings: Settings

    @property
    def database_url(self) -> str:
        return self.settings.database_url

    async def lacks(self) -> list[str]:
        """Return what any node serves without."""
        found = []
        for node in self.nodes:
            async with asyncio.timeout(5), self.http.get(f"{node.url}/readyz") as reply:
                answer = await reply.json()
                found += answer["missing"] + answer["degraded"]
        return found

    async def boards_are_true(self) -> None:
        """Check that each node shows what a sort of the ledger gives, whatever it is answered from."""
        _, standings = await truth(self.database_url)
        ordered = sorted(standings, key=lambda one: one.order)
        wanted = [(one.user, one.score, rank) for rank, one in enumerate(ordered, 1)]
        for node in self.nodes:
            await eventually(partial(board, self.http, node.url), lambda seen: seen[0] == wanted, within=10)

    async def is_well(self) -> None:
        """Check that no part is missing, ranks are exact, and all that was acknowledged is kept."""
        await eventually(self.lacks, lambda lacks: not lacks, within=RECOVERY)
        await self.load.settle()
        for node in self.nodes:
            await eventually(partial(board, self.http, node.url), lambda seen: seen[1] == "exact", within=RECOVERY)
        await self.boards_are_true()
        boards = {node.url: (await board(self.http, node.url))[0] for node in self.nodes}
        assert await verdict(self.load, self.database_url, boards) == []


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Cluster, Standby]]:
    with primary_and_standby() as pair:
        yield pair


@contextlib.asynccontextmanager
async def scene_on(
    servers: tuple[Cluster, Standby], redis: RedisServer, redis_url: str, name: str
) -> AsyncIterator[Scene]:
    primary, standby = servers
    admin = await asyncpg.connect(primary.url)
    await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    settings = Settings(
        database_url=primary.database(name), replica_urls=standby.database(name), redis_url=redis_url, port=0,
        user_rate=10_000_000, address_rate=10_000_000, login_rate=10_000_000, snapshot_seconds=0, verify_seconds=0,
    )  # fmt: skip
    async with contextlib.AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        nodes = [await stack.enter_async_context(running_node(replace(settings))) for _ in range(2)]
        load = Load(http, [node.url for node in nodes], seed=7)
        scene = Scene(primary, standby, redis, nodes, http, load, settings)
        await load.register(PLAYERS)
        await load.play(ACTIONS)
        await scene.is_well()
        yield scene


@pytest.fixture
async def scene(
    servers: tuple[Cluster, Standby], own_redis: RedisServer, request: pytest.FixtureRequest
) -> AsyncIterator[Scene]:
    name = "".join(letter for letter in request.node.name.lower() if letter.isalnum())[:40]
    async with scene_on(servers, own_redis, own_redis.url, name) as scene:
        yield scene


Fault = Callable[[Scene], None]


def _refuse_writes(scene: Scene) -> None:
    scene.redis.configure("maxmemory-policy", "noeviction")
    scene.redis.configure("maxmemory", "1mb")


def _take_writes(scene: Scene) -> None:
    scene.redis.configure("maxmemory", "0")


REDIS_FAULTS: dict[str, tuple[Fault, Fault]] = {
    "killed": (lambda scene: scene.redis.kill(), lambda scene: scene.redis.start()),
    "paused": (lambda scene: scene.redis.pause(), lambda scene: scene.redis.resume()),
    "flushed": (lambda scene: scene.redis.flush(), lambda scene: None),
    "out-of-memory": (_refuse_writes, _take_writes),
}


@pytest.mark.parametrize(
    "fault",
    ["killed", "paused", "flushed", pytest.param("out-of-memory", marks=pytest.mark.slow)],
)
async def test_redis_lost_costs_nothing_but_speed(scene: Scene, fault: str) -> None:
    """Writes go on, boards stay true, counted in the ledger; then the index is whole again by itself."""
    hurt, heal = REDIS_FAULTS[fault]
    await asyncio.to_thread(hurt, scene)
    try:
        await scene.load.play(ACTIONS)
        await scene.boards_are_true()
        assert scene.load.statuses[201] > PLAYERS * ACTIONS, "writes go on without Redis"
    finally:
        await asyncio.to_thread(heal, scene)
    await scene.is_well()


@pytest.mark.slow
async def test_a_read_only_redis_costs_nothing_but_speed(scene: Scene) -> None:
    """As after a failover that this node has not heard of."""
    client = scene.redis.client()
    await client.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        await scene.load.play(ACTIONS)
        await scene.boards_are_true()
    finally:
        await client.execute_command("REPLICAOF", "NO", "ONE")
        await client.aclose()
    await scene.is_well()


@pytest.mark.slow
async def test_a_slow_redis_slows_but_does_not_mislead(
    servers: tuple[Cluster, Standby], own_redis: RedisServer
) -> None:
    """Every answer comes 200 ms late."""
    async with SlowDoor(own_redis, 0.0) as door, scene_on(servers, own_redis, door.url, "slowredis") as scene:
        door.delay = 0.2
        await scene.load.play(ACTIONS)
        await scene.boards_are_true()
        door.delay = 0.0
        await scene.is_well()


async def test_a_lost_replica_is_missed_by_no_one(scene: Scene) -> None:
    await asyncio.to_thread(scene.standby.kill)
    try:
        await scene.load.play(ACTIONS)
        await scene.boards_are_true()
        assert not scene.load.statuses[503]
        await eventually(scene.lacks, lambda lacks: any("replica" in lack for lack in lacks))
    finally:
        await asyncio.to_thread(scene.standby.start)
    await scene.is_well()


@pytest.mark.slow
async def test_a_lagging_replica_shows_no_one_the_past(scene: Scene) -> None:
    """A user who has just written reads the own action in the history, on either node."""
    await asyncio.to_thread(scene.standby.lag)
    try:
        await scene.load.play(ACTIONS)
        for player in scene.load.players:
            headers = {"Authorization": f"Bearer {player.token}"}
            newest = max(player.told, key=lambda told: told.action_id)
            for node in scene.nodes:
                async with scene.http.get(f"{node.url}/api/me?recent=1", headers=headers) as reply:
                    (action,) = (await reply.json())["recent_actions"]
                assert action["action_id"] == newest.action_id
    finally:
        await asyncio.to_thread(scene.standby.go_on)
    await scene.is_well()


PRIMARY_FAULTS: dict[str, tuple[Fault, Fault]] = {
    "killed": (lambda scene: scene.primary.kill(), lambda scene: scene.primary.start()),
    "paused": (lambda scene: scene.primary.pause(), lambda scene: scene.primary.resume()),
}


@pytest.mark.parametrize("fault", PRIMARY_FAULTS)
async def test_a_primary_that_is_away_loses_nothing(scene: Scene, fault: str) -> None:
    """Writes get 503 and Retry-After, boards are still read; once it is back all goes on, and nothing is lost."""
    hurt, heal = PRIMARY_FAULTS[fault]
    playing = asyncio.create_task(scene.load.play(ACTIONS))
    await eventually(_told(scene), lambda told: told > PLAYERS * (ACTIONS + 2))
    await asyncio.to_thread(hurt, scene)
    try:
        await playing
        assert scene.load.statuses[503], "no request met the primary that is away"
        for node in scene.nodes:
            rows, _ = await board(scene.http, node.url)
            assert len(rows) == PLAYERS
    finally:
        await asyncio.to_thread(heal, scene)
    await scene.is_well()


@pytest.mark.parametrize("fault", [pytest.param("killed", marks=pytest.mark.slow), "paused"])
async def test_a_node_can_be_stopped_while_the_primary_is_away(scene: Scene, fault: str) -> None:
    """Also with actions queued: no one waits for a server that says nothing."""
    hurt, heal = PRIMARY_FAULTS[fault]
    async with running_node(scene.settings) as leaving:
        scene.load.urls.append(leaving.url)
        playing = asyncio.create_task(scene.load.play(ACTIONS))
        await eventually(_told(scene), lambda told: told > PLAYERS * (ACTIONS + 2))
        await asyncio.to_thread(hurt, scene)
    try:
        await playing
    finally:
        scene.load.urls.remove(leaving.url)
        await asyncio.to_thread(heal, scene)
    await scene.is_well()


def _told(scene: Scene) -> Callable[[], Awaitable[int]]:
    async def count() -> int:
        return sum(len(player.told) for player in scene.load.players)

    return count
