"""Look-ups in ledgers where few users have nearly all rows, and where each has one: see `test_plans`."""

from __future__ import annotations

import pytest
from tests.support.plans import SHAPES, complaints, ledger_of, read_whole


@pytest.mark.parametrize("shape", ["few users with many rows", "many users with a row"])
async def test_nothing_is_read_from_end_to_end(database_url: str, shape: str) -> None:
    """Neither a table nor an index, whether the plan is made for the arguments or is kept for all."""
    async with ledger_of(database_url, SHAPES[shape]) as connection:
        read = await read_whole(connection, SHAPES[shape])
    assert not read, complaints(read)
