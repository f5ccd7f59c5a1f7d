"""What does an index cost that several nodes share: in Redis instead of in this process?

A Redis on a loopback port, one question after the other. The floors: single calls beside batches, an empty call
beside a look-up, reading the rows beside building from them.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from laurels.domain.standings import Standing
from laurels.ledger import pool as ledger_pool
from laurels.ledger import standings
from laurels.ledger.catalogue import Catalogue
from laurels.ranking.redis import Changes, Life, RedisWindows
from laurels.ranking.shared import Lives, SharedIndex
from laurels.ranking.shared_projection import SharedProjection
from laurels.ranking.sql import SqlIndex
from laurels.shared import Store, parse_address

from ..measure import Aim, Row, Side, Spread, against, alternate
from . import Scene
from .ranks import WINDOW, standing

BATCH = 100
TIMES_FASTER = 8.0
MEGABYTES = 250.0
"""Per million members."""
BUILD = Aim("figure", "≤", 15.0)


async def measure(scene: Scene) -> list[Row]:
    members = scene.sizes.many
    async with scene.stage.redis() as url:
        store = Store(parse_address(url), "test")
        try:
            return [*await _applied(scene, store, members), *await _built(scene, store, members)]
        finally:
            await store.close()


@dataclass
class _Board:
    """A board in Redis, whose people move up a little at every change, as scores do."""

    windows: RedisWindows
    life: Life
    members: int
    seconds: float
    versions: dict[int, int] = field(default_factory=dict)
    chance: random.Random = field(default_factory=lambda: random.Random(11))

    async def applied(self, size: int) -> float:
        """Changes a second, in calls of `size`, one after the other; making the changes up is not counted."""
        spent, done = 0.0, 0
        while spent < self.seconds:
            users = self.chance.sample(range(self.members), size)
            changes = Changes(self.life, {user: self._moved(user) for user in users})
            started = time.perf_counter()
            await self.windows.take([changes], done)
            spent += time.perf_counter() - started
            done += size
        return done / spent

    async def looked_up(self, _: int) -> float:
        """µs a look-up."""
        return await self._per_call(lambda: self.windows.places(self.life, [self.chance.randrange(self.members)]))

    async def pinged(self, _: int) -> float:
        return await self._per_call(self.windows.ping)

    async def _per_call(self, call: Callable[[], Awaitable[object]]) -> float:
        started, calls = time.perf_counter(), 0
        while time.perf_counter() - started < self.seconds:
            await call()
            calls += 1
        return (time.perf_counter() - started) / calls * 1e6

    def _moved(self, user: int) -> Standing:
        before, version = standing(user), self.versions.get(user, 1) + 1
        self.versions[user] = version
        return Standing(before.score + 10 * (version - 1), before.reached_at + version, version)


async def _applied(scene: Scene, store: Store, members: int) -> list[Row]:
    scene.tick(f"shared index: pouring {members:,} members")
    windows, life = RedisWindows(store), Life(WINDOW, "bench")
    await windows.open(life, 0)
    empty = await _used(store)
    for start in range(0, members, 5_000):
        await windows.pour(life, {user: standing(user) for user in range(start, min(members, start + 5_000))})
    per_million = (await _used(store) - empty) / members
    board = _Board(windows, life, members, scene.sizes.seconds)
    size = min(BATCH, members)
    sides: list[Side] = [
        ("shared index: batches", lambda _: board.applied(size)),
        ("shared index: single calls", lambda _: board.applied(1)),
        ("shared index: look-ups", board.looked_up),
        ("shared index: pings", board.pinged),
    ]
    batches, single, looks, pings = await alternate(scene.sizes.turns, sides, scene.tick)
    faster = Aim("ratio", "≥", TIMES_FASTER)
    small = None if scene.sizes.smoke else Aim("figure", "≤", MEGABYTES)  # a small board does not show it
    await windows.drop(WINDOW.id, life.epoch)
    return [
        Row(f"Redis: memory of {members:,} members, a million", "MB", Spread.of([per_million]), aim=small),
        against(f"Redis: changes in batches of {size}", "1/s", batches, "single calls", single, aim=faster),
        against("Redis: rank look-up", "µs", looks, "a call that does nothing", pings),
    ]


async def _built(scene: Scene, store: Store, members: int) -> list[Row]:
    scene.tick(f"shared index: writing {members:,} standings")
    url = await scene.stage.database(players=members, standings=members)
    pool = await ledger_pool.connect(url, size=6)
    catalogue = Catalogue(pool)
    await catalogue.refresh()
    windows, lives = RedisWindows(store), Lives(pool)
    projection = SharedProjection(windows, SharedIndex(windows, SqlIndex(pool), lives), lives, catalogue, pool)
    await projection.load()
    window = await catalogue.window(catalogue.default_board)

    async def build(_: int) -> float:
        started = time.perf_counter()
        await projection.rebuild()
        spent = time.perf_counter() - started
        if (count := await projection.index.count(window)) != members:
            raise RuntimeError(f"{count} of {members} standings were built")
        return spent

    async def read(_: int) -> float:
        started = time.perf_counter()
        async for _page in standings.stream(pool, window):
            pass
        return time.perf_counter() - started

    turns = min(3, scene.sizes.turns)
    sides = [("shared index: build", build), ("shared index: rows", read)]
    built, rows = await alternate(turns, sides, scene.tick)
    await pool.close()
    return [against(f"Redis: building {members:,} standings anew", "s", built, "reading the rows", rows, aim=BUILD)]


async def _used(store: Store) -> float:
    told = await store.call(lambda redis: redis.info("memory"))
    return float(told["used_memory"])
