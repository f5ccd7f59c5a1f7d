"""Parts of a ledger without an edge: a catalogue, a writer and its index, on a database of their own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest

from laurels.domain.actions import Submission
from laurels.domain.errors import LaurelsError
from laurels.ledger.catalogue.catalogue import Catalogue
from laurels.ledger.db.pool import Pool
from laurels.ledger.write.receipts import Receipts
from laurels.ledger.write.writer import Result, Writer
from laurels.ranking.memory_index import MemoryIndex
from laurels.ranking.memory_projection import MemoryProjection


@dataclass
class Ledger:
    """One process's share of a ledger."""

    pool: Pool
    catalogue: Catalogue
    receipts: Receipts
    projection: MemoryProjection
    writer: Writer
    node: UUID

    async def complete(self, user: int, identifier: str, kind: str = "lesson", metadata: str | None = None) -> Result:
        (result,) = await self.writer.submit([Submission(user, kind, identifier, metadata)])
        return result

    async def scores(self) -> dict[int, int]:
        rows = await self.pool.fetch("SELECT user_id, score FROM standings WHERE window_id = 1")
        return dict(rows)


@contextlib.asynccontextmanager
async def running_ledger(pool: Pool, **options: Any) -> AsyncIterator[Ledger]:
    catalogue = Catalogue(pool)
    await catalogue.refresh()
    receipts = Receipts(pool)
    projection = MemoryProjection(MemoryIndex("test"), catalogue, pool)
    node = uuid4()
    writer = Writer(pool, catalogue, receipts, projection.project, node, **options)
    async with asyncio.TaskGroup() as tasks:
        lanes = tasks.create_task(writer.run())
        flusher = tasks.create_task(receipts.run())
        yield Ledger(pool, catalogue, receipts, projection, writer, node)
        writer.close()
        await lanes
        receipts.close()
        await flusher


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
