"""A connection that is closed in the middle of a statement is a ledger that is away, wherever it was."""

from __future__ import annotations

import asyncio

import pytest

from laurels.domain.errors import Code, LaurelsError
from laurels.ledger.db import pool as ledger_pool
from laurels.ledger.db.pool import Pool, drop

TURNS = range(0, 600, 2)
"""Of the loop, before it is cut: a first statement takes some hundreds idle ones, in which asyncpg asks four things."""


@pytest.mark.parametrize("batch", [False, True])
async def test_whenever_it_is_cut_the_ledger_is_away(pool: Pool, *, batch: bool) -> None:
    """Whenever it is cut, the statement is done or refused; asyncpg's own confusion never comes through."""

    async def ask() -> None:
        async with ledger_pool.acquire(pool) as connection:
            held.set_result(connection)
            await connection.reload_schema_state()  # the types are asked for again
            if batch:
                await connection.executemany("SELECT $1::int4range, $2::box[]", [(None, None)])
            else:
                await connection.fetch("SELECT $1::int4range, $2::box[]", None, None)

    codes = set()
    for turns in TURNS:
        held: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        asking = asyncio.create_task(ask())
        connection = await held
        for _ in range(turns):
            await asyncio.sleep(0)
        drop(connection)
        try:
            await asking
        except LaurelsError as away:
            codes.add(away.code)
    assert codes == {Code.DATABASE_UNAVAILABLE}
