"""Cost of an index in Redis that several nodes share, instead of in the process

A Redis on a loopback port, one call after the other. The floors: single calls for batches, an empty call for a
look-up, reading the rows for building from them.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from laurels.domain.standings import Standing
from laurels.ledger.catalogue.catalogue import Catalogue
from laurels.ledger.db import pool as ledger_pool
from laurels.ledger.standings import standings
from laurels.ranking.redis_index.fallback_index import FallbackIndex
from laurels.ranking.redis_index.generations import IndexGenerations
from laurels.ranking.redis_index.projection import RedisProjection
from laurels.ranking.redis_index.windows import IndexGeneration, RedisWindows, WindowChanges
from laurels.ranking.sql_index import SqlIndex
from laurels.redis_store import RedisStore, parse_address

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
        store = RedisStore(parse_address(url), "test")
        try:
            return [*await _applied(scene, store, members), *await _built(scene, store, members)]
        finally:
            await store.close()


@dataclass
class _Board:
    """A board in Redis whose members move up a little at every change, as with real scores."""

    windows: RedisWindows
    generation: IndexGeneration
    members: int
    seconds: float
    versions: dict[int, int] = field(default_factory=dict)
    chance: random.Random = field(default_factory=lambda: random.Random(11))

    async def applied(self, size: int) -> float:
        """Return changes per second, in sequential calls of `size`; generating the changes is not counted."""
        spent, done = 0.0, 0
        while spent < self.seconds:
            users = self.chance.sample(range(self.members), size)
            changes = WindowChanges(self.generation, {user: self._moved(user) for user in users})
            started = time.perf_counter()
            await self.windows.apply([changes], done)
            spent += time.perf_counter() - started
            done += size
        return done / spent

    async def looked_up(self, _: int) -> float:
        """Return µs per look-up."""
        return await self._per_call(lambda: self.windows.places(self.generation, [self.chance.randrange(self.members)]))

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


async def _applied(scene: Scene, store: RedisStore, members: int) -> list[Row]:
    scene.tick(f"shared index: loading {members:,} members")
    windows, generation = RedisWindows(store), IndexGeneration(WINDOW, "bench")
    await windows.create(generation, 0)
    empty = await _used(store)
    for start in range(0, members, 5_000):
        await windows.upsert(generation, {user: standing(user) for user in range(start, min(members, start + 5_000))})
    per_million = (await _used(store) - empty) / members
    board = _Board(windows, generation, members, scene.sizes.seconds)
    size = min(BATCH, members)
    sides: list[Side] = [
        ("shared index: batches", lambda _: board.applied(size)),
        ("shared index: single calls", lambda _: board.applied(1)),
        ("shared index: look-ups", board.looked_up),
        ("shared index: pings", board.pinged),
    ]
    batches, single, looks, pings = await alternate(scene.sizes.turns, sides, scene.tick)
    faster = Aim("ratio", "≥", TIMES_FASTER)
    small = None if scene.sizes.smoke else Aim("figure", "≤", MEGABYTES)  # a small board is dominated by overhead
    await windows.drop(WINDOW.id, generation.epoch)
    return [
        Row(f"Redis: memory of {members:,} members, a million", "MB", Spread.of([per_million]), aim=small),
        against(f"Redis: changes in batches of {size}", "1/s", batches, "single calls", single, aim=faster),
        against("Redis: rank look-up", "µs", looks, "a call that does nothing", pings),
    ]


async def _built(scene: Scene, store: RedisStore, members: int) -> list[Row]:
    scene.tick(f"shared index: writing {members:,} standings")
    url = await scene.stage.database(players=members, standings=members)
    pool = await ledger_pool.connect(url, size=6)
    catalogue = Catalogue(pool)
    await catalogue.refresh()
    windows, generations = RedisWindows(store), IndexGenerations(pool)
    projection = RedisProjection(
        windows, FallbackIndex(windows, SqlIndex(pool), generations), generations, catalogue, pool
    )
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
    return [against(f"Redis: rebuilding {members:,} standings", "s", built, "reading the rows", rows, aim=BUILD)]


async def _used(store: RedisStore) -> float:
    told = await store.call(lambda redis: redis.info("memory"))
    return float(told["used_memory"])
