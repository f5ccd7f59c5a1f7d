"""One of several nodes that share an index: a writer and its projection, without the rest."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from tests.ledger.conftest import placements_in
from tests.support.polling import eventually
from tests.support.redis import RedisServer

from laurels.domain.actions import Submission
from laurels.domain.boards import Window
from laurels.domain.detectors import DetectorEngine
from laurels.ledger.catalogue.catalogue import Catalogue
from laurels.ledger.db.pool import Pool
from laurels.ledger.write.batch import CommittedBatch, commit_batch
from laurels.ledger.write.writer import DecidedAction, Writer
from laurels.ranking.index import Ranking
from laurels.ranking.redis_index.fallback_index import FallbackIndex
from laurels.ranking.redis_index.generations import IndexGenerations
from laurels.ranking.redis_index.projection import RedisProjection
from laurels.ranking.redis_index.windows import RedisWindows
from laurels.ranking.sql_index import SqlIndex
from laurels.ranking.verify import compare
from laurels.redis_store import RedisStore, parse_address


@dataclass
class SharedNode:
    """The share of one node: a writer and its projection. Its chores run when the test says so."""

    pool: Pool
    catalogue: Catalogue
    index: FallbackIndex
    projection: RedisProjection
    writer: Writer

    async def complete(self, user: int, identifier: str, kind: str = "lesson") -> DecidedAction:
        (result,) = await self.writer.submit([Submission(user, kind, identifier, None)])
        assert isinstance(result, DecidedAction), result
        return result

    async def die_after_commit(self, user: int, identifier: str) -> None:
        """Exactly what a node does that is killed between COMMIT and projection."""
        await self.commit(user, identifier)

    async def commit(self, user: int, identifier: str, *others: int) -> CommittedBatch:
        """Commit one batch of these users, of which no index learns."""
        submissions = [Submission(one, "lesson", identifier, None) for one in (user, *others)]
        async with self.pool.acquire() as connection:
            return await commit_batch(connection, self.catalogue, uuid4(), submissions, DetectorEngine())

    async def look_after(self) -> None:
        await self.projection.reconcile()
        await self.projection.build_missing()

    async def ready(self) -> None:
        """Until every window is answered by Redis."""
        windows = await self.catalogue.windows_at(datetime.now(UTC))

        async def trusted() -> bool:
            await self.look_after()
            return all(self.projection.generations.readable(window) for window in windows)

        await eventually(trusted, bool, within=20)

    async def default(self) -> Window:
        return await self.catalogue.window(self.catalogue.default_board)

    async def top(self, size: int = 100) -> Ranking:
        return await self.index.top(await self.default(), size)

    async def drift(self) -> int:
        windows = await self.catalogue.windows_at(datetime.now(UTC))
        return sum([await compare(self.index, self.pool, window) for window in windows])


@contextlib.asynccontextmanager
async def shared_node(pool: Pool, server: RedisServer) -> AsyncIterator[SharedNode]:
    store = RedisStore(parse_address(server.url), "test")
    catalogue = Catalogue(pool)
    await catalogue.refresh()
    windows, generations = RedisWindows(store), IndexGenerations(pool)
    index = FallbackIndex(windows, SqlIndex(pool), generations)
    projection = RedisProjection(windows, index, generations, catalogue, pool)
    writer = Writer(pool, catalogue, projection.project, placements_in(index, catalogue), uuid4())
    await projection.load()
    async with asyncio.TaskGroup() as tasks:
        lanes = tasks.create_task(writer.run())
        yield SharedNode(pool, catalogue, index, projection, writer)
        writer.close()
        await lanes
    await store.close()
