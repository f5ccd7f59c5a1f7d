"""Delete old rows in steps: a table grows by more rows than one statement can delete within its timeout."""

from __future__ import annotations

from .pool import Pool, acquire

AT_ONCE = 10_000
"""Rows of one statement, which takes some tens of milliseconds."""


async def delete_in_steps(pool: Pool, statement: str, *, at_once: int = AT_ONCE) -> int:
    """Run a DELETE of at most `$1` rows until none is left; return how many rows it deleted."""
    total = 0
    while True:
        async with acquire(pool) as connection:
            deleted = int(str(await connection.execute(statement, at_once)).removeprefix("DELETE "))
        total += deleted
        if deleted < at_once:
            return total
