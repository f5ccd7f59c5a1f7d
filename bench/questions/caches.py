"""Time that a cached answer saves: in the process, in Redis, or not cached

One read after the other, without HTTP; reported is the time of the fastest tenth, because the others also wait for
other load on the machine. The floor is a call to Redis that does nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from laurels.domain.boards import Window
from laurels.ledger.accounts.directory import Directory
from laurels.ledger.catalogue.catalogue import Catalogue
from laurels.ledger.db import pool as ledger_pool
from laurels.ledger.db.pool import close as close_pool
from laurels.ledger.db.replicas import Reads
from laurels.ranking.redis_index.fallback_index import FallbackIndex
from laurels.ranking.redis_index.generations import IndexGenerations
from laurels.ranking.redis_index.projection import RedisProjection
from laurels.ranking.redis_index.windows import POSITION, RedisWindows
from laurels.ranking.scoreboards import Scoreboards
from laurels.ranking.sql_index import SqlIndex
from laurels.redis_store import RedisStore, parse_address

from ..measure import Row, against, alternate
from ..stage import FIRST_PLAYER
from . import Scene

ROWS = 100
CROWD = 64
PEOPLE = 200
"""Users that are read by name."""
SECONDS = 0.5
SMOKE_SECONDS = 0.05
ONE_TYPE = "SELECT id, name, description, base_score, scoring_rules, is_active FROM action_types WHERE name = $1"
Work = Callable[[], Awaitable[object]]


@dataclass
class _Node:
    """The read side of a node, without HTTP."""

    store: RedisStore
    reads: Reads
    catalogue: Catalogue
    directory: Directory
    index: FallbackIndex
    generations: IndexGenerations
    scoreboards: Scoreboards
    window: Window
    members: int
    chance: random.Random

    @property
    def slug(self) -> str:
        return self.window.board.slug

    async def ready_board(self) -> object:
        return await self.scoreboards.top(self.slug, ROWS)

    async def ready_boards(self) -> object:
        return await asyncio.gather(*(self.ready_board() for _ in range(CROWD)))

    async def board_in_redis(self) -> object:
        """Read ready bytes that all nodes share, together with the seq that shows whether they are current."""
        generation = self.generations.readable(self.window)
        assert generation is not None
        keys = RedisWindows(self.store).keys(generation.window.id, generation.epoch)

        async def work(client: object) -> object:
            pipe = client.pipeline(transaction=False)  # type: ignore[attr-defined]
            pipe.evalsha(POSITION.sha, len(keys), *keys)
            pipe.get("bench:board")
            return await pipe.execute()

        return await self.store.call(work)

    async def board_made(self) -> object:
        return await self.scoreboards._load(self.window, ROWS, 0)

    async def board_counted(self) -> object:
        return await SqlIndex(self.reads.primary).top(self.window, ROWS)

    async def rank(self) -> object:
        """Read a rank by name, as a request does."""
        who = await self.directory.by_name(self._random_name())
        return await self.index.places(self.window, [who.id])

    async def score_in_redis(self) -> object:
        return await self.store.call(lambda redis: redis.get("bench:score"))

    async def rank_counted(self) -> object:
        who = await self.directory.find_any(self._random_name())
        return await SqlIndex(self.reads.primary).places(self.window, [who])

    async def type_in_redis(self) -> object:
        return await self.store.call(lambda redis: redis.get("bench:type"))

    async def type_from_ledger(self) -> object:
        return await self.reads.fetchrow(ONE_TYPE, "lesson")

    async def ping(self) -> object:
        return await self.store.call(lambda redis: redis.ping())

    async def know_names(self) -> None:
        for number in range(PEOPLE):
            await self.directory.by_name(f"p-{FIRST_PLAYER + number}")

    def _random_name(self) -> str:
        return f"p-{FIRST_PLAYER + self.chance.randrange(PEOPLE)}"


async def measure(scene: Scene) -> list[Row]:
    async with _node(scene, scene.sizes.members[1]) as node:
        await node.know_names()
        works: dict[str, Work] = {
            "floor": node.ping,
            "A board of 100, ready in the process, its seq asked of Redis": node.ready_board,
            f"… {CROWD} such reads at once": node.ready_boards,
            "A board of 100, ready in Redis (not built)": node.board_in_redis,
            "A board of 100, made of the index": node.board_made,
            "A board of 100, counted in the ledger": node.board_counted,
            "A rank by name: name in the process, rank of the index": node.rank,
            "A score: kept in Redis beside the index (not built)": node.score_in_redis,
            "A rank by name: both from the ledger": node.rank_counted,
            "An action type: kept in Redis (not built: every node holds all)": node.type_in_redis,
            "An action type: from the ledger": node.type_from_ledger,
        }
        seconds = SMOKE_SECONDS if scene.sizes.smoke else SECONDS
        sides = [(f"caches: {name}", _timed(work, seconds)) for name, work in works.items()]
        floor, *figures = await alternate(scene.sizes.turns, sides, scene.tick)
    named = zip(list(works)[1:], figures, strict=True)
    beside = f"a call that does nothing; {node.members:,} members"
    return [against(name, "µs", told, beside, floor) for name, told in named]


def _timed(work: Work, seconds: float) -> Callable[[int], Awaitable[float]]:
    async def per_read(_turn: int) -> float:
        """Return the first decile in µs: other load on the machine slows the rest."""
        took: list[float] = []
        until = time.perf_counter() + seconds
        while not took or time.perf_counter() < until:
            started = time.perf_counter()
            await work()
            took.append(time.perf_counter() - started)
        return sorted(took)[len(took) // 10] * 1e6

    return per_read


async def _keep(store: RedisStore, name: str, value: bytes) -> None:
    await store.call(lambda redis: redis.set(f"bench:{name}", value))


@contextlib.asynccontextmanager
async def _node(scene: Scene, members: int) -> AsyncIterator[_Node]:
    scene.tick(f"caches: writing {members:,} standings")
    pool = await ledger_pool.connect(await scene.stage.database(players=members, standings=members), size=6)
    async with scene.stage.redis() as url:
        store = RedisStore(parse_address(url), "test")
        catalogue, reads = Catalogue(pool), Reads(pool)
        await catalogue.refresh()
        directory, generations, windows = Directory(reads), IndexGenerations(pool), RedisWindows(store)
        index = FallbackIndex(windows, SqlIndex(pool), generations)
        projection = RedisProjection(windows, index, generations, catalogue, pool)
        await projection.load()
        scoreboards = Scoreboards(index, catalogue, directory, reads)
        window = await catalogue.window(catalogue.default_board)
        while generations.readable(window) is None:  # on a busy machine a call may be late
            await projection.reconcile()
            await projection.build_missing()
        ready = await scoreboards.top(window.board.slug, ROWS)
        for name, value in (("board", ready.body), ("score", b'{"score":1,"rank":1}'), ("type", b"{}")):
            await _keep(store, name, value)
        try:
            yield _Node(
                store, reads, catalogue, directory, index, generations, scoreboards, window, members, random.Random(3)
            )
        finally:
            await store.close()
            await reads.close()
            await close_pool(pool)
