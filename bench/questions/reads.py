"""Ranks and neighbourhoods read per second as the board grows

Over HTTP, for random users, compared with redis-benchmark sending ZRANK to a sorted set with as many members over as
many connections: no HTTP, no names, no ties, no neighbours.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import redis.asyncio as redis_client

from ..load import Plan
from ..measure import Aim, Row, Side, Spread, against, alternate
from ..stage import FIRST_PLAYER, Node
from . import Scene
from .asked import Asked

KINDS = {"Rank": "/api/boards/points/rank/p-{}", "Around": "/api/boards/points/around/p-{}"}
AIM = Aim("ratio", "≥", 0.25)
KEY = "board"
MOST_IN_REDIS = 1_000_000
_PAGE = 10_000
_FIRST_GUESS = 20_000
"""Calls per second of redis-benchmark in its first turn; later turns use its measured rate."""


async def measure(scene: Scene) -> list[Row]:
    boards = [await _board(scene, members) for members in scene.sizes.members]
    return [
        *(row for rows in boards for row in rows),
        *(_growth(kind, scene, [rows[at] for rows in boards]) for at, kind in enumerate(KINDS)),
    ]


async def _board(scene: Scene, members: int) -> list[Row]:
    scene.tick(f"reads: writing {members:,} standings")
    database_url = await scene.stage.database(players=members, standings=members)
    async with contextlib.AsyncExitStack() as stack:
        redis_url = await stack.enter_async_context(scene.stage.redis())
        await _fill(redis_url, members)
        asked: dict[str, Asked] = {}
        for where, node in (await _nodes(scene, stack, database_url, members)).items():
            await _check(node, members)
            for kind in KINDS:
                plan = _plan(scene, kind, members)
                await _ask_once(node, plan, scene.sizes.connections)
                asked[f"{kind} over HTTP, {where}"] = Asked(node.url, plan, scene.sizes)
        for side in asked.values():
            await side.warm_up()
        floor = _ZRank(redis_url, members, scene.sizes.connections, scene.sizes.seconds)
        sides: list[Side] = [(f"reads: {name}, {members:,}", side.per_second) for name, side in asked.items()]
        sides.append((f"reads: ZRANK, {members:,}", floor.per_second))
        *figures, floors = await alternate(scene.sizes.turns, sides, scene.tick)
    floor_name = "one ZRANK by redis-benchmark"
    return [
        against(f"{name}, {members:,} members", "/s", figure, floor_name, floors, aim=AIM)
        for name, figure in zip(asked, figures, strict=True)
    ]


async def _nodes(scene: Scene, stack: contextlib.AsyncExitStack, database_url: str, members: int) -> dict[str, Node]:
    """Start two nodes on one ledger, and wait until the index in Redis is built; leave that node out if it is large."""
    nodes = {"index in memory": await stack.enter_async_context(scene.stage.node(database_url=database_url))}
    if members <= MOST_IN_REDIS:
        index_url = await stack.enter_async_context(scene.stage.redis())
        shared = scene.stage.node(database_url=database_url, redis_url=index_url)
        nodes["index in Redis"] = await stack.enter_async_context(shared)
    return nodes


def _growth(kind: str, scene: Scene, rows: list[Row]) -> Row:
    """Return the growth row; a look-up in O(log n) may slow down by as much as the logarithm grew."""
    smallest, *_, largest = scene.sizes.members
    times = rows[0].figure.median / rows[-1].figure.median
    allowed = math.log(largest) / math.log(smallest)
    aim = None if scene.sizes.smoke else Aim("figure", "≤", round(allowed, 2))
    return Row(f"… {kind.lower()} from {smallest:,} to {largest:,}: slower by", "times", Spread.of([times]), aim=aim)


def _plan(scene: Scene, kind: str, members: int) -> Plan:
    chance = random.Random(5)
    users = [FIRST_PLAYER + chance.randrange(members) for _ in range(scene.sizes.players)]
    file = scene.stage.folder / f"paths-{kind}-{members}"
    file.write_text("".join(KINDS[kind].format(user) + "\n" for user in users))
    return Plan("GET", KINDS[kind], paths_file=str(file))


async def _ask_once(node: Node, plan: Plan, connections: int) -> None:
    """Cache the names of the users and their neighbours: the first read of each takes a query."""
    told = await asyncio.to_thread(Path(plan.paths_file).read_text)
    paths = iter(told.split())

    async def ask_on(session: aiohttp.ClientSession) -> None:
        for path in paths:
            async with session.get(node.url + path) as reply:
                await reply.read()

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(ask_on(session) for _ in range(connections)))


async def _check(node: Node, members: int) -> None:
    """Raise RuntimeError if the node does not rank so many members."""
    path = KINDS["Around"].format(FIRST_PLAYER)
    async with aiohttp.ClientSession() as session, session.get(node.url + path) as reply:
        told = await reply.json()
    if told["total_users"] != members or told["rank_state"] != "exact":
        raise RuntimeError(f"the node ranks {told['total_users']} of {members} ({told['rank_state']})")


@dataclass
class _ZRank:
    """redis-benchmark, turn by turn."""

    redis_url: str
    members: int
    connections: int
    seconds: float
    guess: float = _FIRST_GUESS

    async def per_second(self, _turn: int) -> float:
        place = urlsplit(self.redis_url)
        calls = max(1_000, round(self.guess * self.seconds))
        process = await asyncio.create_subprocess_exec(
            *("redis-benchmark", "-h", str(place.hostname), "-p", str(place.port), "-c", str(self.connections)),
            *("-n", str(calls), "-r", str(self.members), "--csv", "ZRANK", KEY, "member:__rand_int__"),
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
        self.guess = float(output.decode().splitlines()[-1].split(",")[1].strip('"'))
        return self.guess


async def _fill(url: str, members: int) -> None:
    """Fill the sorted set with the member names that redis-benchmark generates."""
    async with redis_client.from_url(url) as client:
        for start in range(0, members, _PAGE):
            page = range(start, min(members, start + _PAGE))
            await client.zadd(KEY, {f"member:{user:012d}": user * 7919 % 100_000 for user in page})
