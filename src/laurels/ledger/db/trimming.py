"""Delete what is too old, in steps: a table grows by more than one statement may delete in its time."""

from __future__ import annotations

from .pool import Pool, acquire

AT_ONCE = 10_000
"""Rows in one statement, some tens of milliseconds."""


async def delete_in_steps(pool: Pool, statement: str, *, at_once: int = AT_ONCE) -> int:
    """Run a DELETE of at most `$1` rows until it finds no more; return how many rows it deleted."""
    total = 0
    while True:
        async with acquire(pool) as connection:
            deleted = int(str(await connection.execute(statement, at_once)).removeprefix("DELETE "))
        total += deleted
        if deleted < at_once:
            return total
