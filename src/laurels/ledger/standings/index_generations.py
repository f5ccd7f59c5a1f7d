"""Which copy of each window in a shared index counts.

The ledger decides, not the index: after a failover two Redis servers may each act as the primary, and only one of
them holds the epoch recorded here. One process builds at a time, under an advisory lock of PostgreSQL. The lock ends
with its connection, so a killed builder leaves nothing to time out and no clock is involved. A builder that was
taken for dead does no harm either: the epoch it writes to no longer counts.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from ..db.pool import Connection, Pool, acquire, acquire_within

_LOCK = (0x4C415552, 1)  # "LAUR", the builder
_READ = """
SELECT window_id, epoch, ready, extract(epoch FROM clock_timestamp() - checked_at)::float8 AS age
FROM index_generations"""
_BEGIN = """
WITH old AS (SELECT epoch FROM index_generations WHERE window_id = $1)
INSERT INTO index_generations AS l (window_id, epoch, server) VALUES ($1, $2, $3)
ON CONFLICT (window_id) DO UPDATE
SET epoch = EXCLUDED.epoch, server = EXCLUDED.server, ready = false,
    checked = EXCLUDED.checked, checked_at = EXCLUDED.checked_at
RETURNING (SELECT epoch FROM old)"""
_FINISH = "UPDATE index_generations SET ready = true WHERE window_id = $1 AND epoch = $2"
_CHECKED = """
UPDATE index_generations SET checked = $2::text::xid8, checked_at = clock_timestamp()
WHERE epoch = ANY ($1::text[]) AND ready AND checked <= $2::text::xid8"""
_OLDEST = """
SELECT min(l.checked::text::numeric)::text FROM index_generations l JOIN windows w ON w.id = l.window_id
WHERE l.ready AND (w.ends_at IS NULL OR w.ends_at > now())"""
_OVER = """
SELECT l.window_id, l.epoch FROM index_generations l
JOIN windows w ON w.id = l.window_id JOIN boards b ON b.id = w.board_id
WHERE w.ends_at < $1 OR b.archived_at IS NOT NULL"""
_FORGET = "DELETE FROM index_generations WHERE window_id = $1 AND epoch = $2"


@dataclass(frozen=True, slots=True)
class GenerationRow:
    """One copy. `age`: seconds since it was last known to be complete."""

    epoch: str
    ready: bool
    age: float


async def read(pool: Pool) -> dict[int, GenerationRow]:
    """Return window id -> the copy that counts."""
    async with acquire_within(pool) as connection:
        rows = await connection.fetch(_READ)
    return {row["window_id"]: GenerationRow(row["epoch"], row["ready"], row["age"]) for row in rows}


@contextlib.asynccontextmanager
async def only_builder(pool: Pool) -> AsyncIterator[Connection | None]:
    """Yield a connection that holds the builder's lock; None when another process has it."""
    async with acquire(pool) as connection:
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1, $2)", *_LOCK):
            yield None
            return
        try:
            yield connection
        finally:
            await connection.execute("SELECT pg_advisory_unlock($1, $2)", *_LOCK)


async def begin(connection: Connection, window_id: int, epoch: str, server: str) -> str | None:
    """Make this still incomplete copy the one that counts, and return the epoch of the copy it replaces."""
    old: str | None = await connection.fetchval(_BEGIN, window_id, epoch, server)
    return old


async def finish(connection: Connection, window_id: int, epoch: str) -> bool:
    """Record that the copy is complete. Return False if another one counts by now."""
    status: str = await connection.execute(_FINISH, window_id, epoch)
    return status == "UPDATE 1"


async def record_checked(pool: Pool, epochs: list[str], horizon: str) -> None:
    """Record that these copies hold everything before `horizon` (a transaction id)."""
    async with acquire(pool) as connection:
        await connection.execute(_CHECKED, epochs, horizon)


async def oldest_check(pool: Pool) -> str | None:
    """Return the transaction id up to which every copy is complete; None when there are no copies."""
    async with acquire(pool) as connection:
        horizon: str | None = await connection.fetchval(_OLDEST)
    return horizon


async def ended(pool: Pool, before: datetime) -> list[tuple[int, str]]:
    """Return (window id, epoch) of unneeded copies: of windows that ended before then, and of archived boards."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_OVER, before)
    return [(row["window_id"], row["epoch"]) for row in rows]


async def forget(pool: Pool, window_id: int, epoch: str) -> None:
    async with acquire(pool) as connection:
        await connection.execute(_FORGET, window_id, epoch)
