"""Parts of a ledger without an edge: a catalogue, a writer and its index, on a database of their own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest

from laurels.domain.actions import Placement, Submission, present_placement
from laurels.domain.errors import LaurelsError
from laurels.ledger.catalogue.catalogue import Catalogue
from laurels.ledger.db.pool import Pool
from laurels.ledger.write.writer import FindPlacements, Result, Writer
from laurels.ranking.index import Index
from laurels.ranking.memory_index import MemoryIndex
from laurels.ranking.memory_projection import MemoryProjection


@dataclass
class Ledger:
    """One process's share of a ledger."""

    pool: Pool
    catalogue: Catalogue
    projection: MemoryProjection
    writer: Writer
    node: UUID

    async def complete(self, user: int, identifier: str, kind: str = "lesson", metadata: str | None = None) -> Result:
        (result,) = await self.writer.submit([Submission(user, kind, identifier, metadata)])
        return result

    async def scores(self) -> dict[int, int]:
        rows = await self.pool.fetch("SELECT user_id, score FROM standings WHERE window_id = 1")
        return dict(rows)


def placements_in(index: Index, catalogue: Catalogue) -> FindPlacements:
    """Answer replays from the index, as Scoreboards do where users have names."""

    async def find(user_ids: Collection[int]) -> Mapping[int, Placement]:
        window = await catalogue.window(catalogue.default_board)
        ranking = await index.places(window, user_ids)
        ranks = {place.user_id: place.rank for place in ranking.places}
        return {user_id: present_placement(ranks.get(user_id), ranking.seq, ranking.rank_state) for user_id in user_ids}

    return find


@contextlib.asynccontextmanager
async def running_ledger(pool: Pool, **options: Any) -> AsyncIterator[Ledger]:
    catalogue = Catalogue(pool)
    await catalogue.refresh()
    projection = MemoryProjection(MemoryIndex("test"), catalogue, pool)
    node = uuid4()
    writer = Writer(pool, catalogue, projection.project, placements_in(projection.index, catalogue), node, **options)
    async with asyncio.TaskGroup() as tasks:
        lanes = tasks.create_task(writer.run())
        yield Ledger(pool, catalogue, projection, writer, node)
        writer.close()
        await lanes


@pytest.fixture
async def ledger(pool: Pool) -> AsyncIterator[Ledger]:
    await add_users(pool, 30)
    async with running_ledger(pool) as ledger:
        yield ledger


async def add_users(pool: Pool, count: int) -> None:
    await pool.execute(
        "INSERT INTO users (id, username, username_fold, username_skeleton) "
        "SELECT n, 'user-' || n, 'user-' || n, 'user-' || n FROM generate_series(1, $1::int) n",
        count,
    )


def codes(results: list[Result]) -> list[str]:
    return [result.code.value if isinstance(result, LaurelsError) else "ok" for result in results]
