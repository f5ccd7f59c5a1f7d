"""Wait until every running node has applied the journal, through the ledger alone.

Nodes record every PRESENCE_SECONDS that they run. After committing a change, a command journals a *barrier*; each node
acknowledges it once it has applied everything before it. A node that died silently is waited for until its record is
older than ABSENT_SECONDS, or the caller's time is over.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

from ..db.pool import Pool, acquire_within
from .journal import EVERY_NODE, announce

PRESENCE_SECONDS = 2.0
ABSENT_SECONDS = 7.0
_POLL_SECONDS = 0.02

_REPORT = """
INSERT INTO nodes (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET seen_at = clock_timestamp()"""
_LEAVE = "DELETE FROM nodes WHERE id = $1"
_RUNNING = "SELECT id FROM nodes WHERE id <> $1 AND seen_at > clock_timestamp() - $2::interval"
_PRESENT = "SELECT count(*) FROM nodes WHERE id <> $1 AND seen_at > clock_timestamp() - $2::interval"
_ACKNOWLEDGE = "INSERT INTO journal_acknowledgements (journal_id, node) VALUES ($1, $2) ON CONFLICT DO NOTHING"
_LACKING = """
SELECT count(*) FROM nodes n WHERE n.id <> $2 AND n.seen_at > clock_timestamp() - $3::interval
  AND NOT EXISTS (SELECT FROM journal_acknowledgements a WHERE a.journal_id = $1 AND a.node = n.id)"""
_TRIM_NODES = "DELETE FROM nodes WHERE seen_at < now() - interval '1 day'"
_TRIM_ACKNOWLEDGEMENTS = """
DELETE FROM journal_acknowledgements WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM journal_acknowledgements WHERE journal_id < (SELECT min(id) FROM journal)
    ORDER BY journal_id LIMIT $1))"""
_ABSENT = timedelta(seconds=ABSENT_SECONDS)


async def report_presence(pool: Pool, node: UUID) -> None:
    """Record that a node runs."""
    async with acquire_within(pool) as connection:
        await connection.execute(_REPORT, node)


async def leave(pool: Pool, node: UUID) -> None:
    """Record that a node has stopped, so that no command waits for it."""
    async with acquire_within(pool) as connection:
        await connection.execute(_LEAVE, node)


async def running_nodes(pool: Pool, but: UUID) -> frozenset[UUID]:
    """Return the nodes that recently recorded that they run, except `but`."""
    async with acquire_within(pool) as connection:
        return frozenset(row["id"] for row in await connection.fetch(_RUNNING, but, _ABSENT))


async def acknowledge(pool: Pool, barrier: int, node: UUID) -> None:
    """Record that a node has applied everything before this barrier."""
    async with acquire_within(pool) as connection:
        await connection.execute(_ACKNOWLEDGE, barrier, node)


async def wait_for_nodes(pool: Pool, seconds: float, *, but: UUID = EVERY_NODE) -> int:
    """Wait until all nodes, except `but`, have applied all commits so far. Return how many have not after `seconds`."""
    async with acquire_within(pool) as connection:
        lacking = int(await connection.fetchval(_PRESENT, but, _ABSENT))
        if not lacking:
            return 0
        barrier = await announce(connection, EVERY_NODE, "barrier", [])
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        async with acquire_within(pool) as connection:
            lacking = int(await connection.fetchval(_LACKING, barrier, but, _ABSENT))
        if not lacking or asyncio.get_running_loop().time() >= deadline:
            return lacking
        await asyncio.sleep(_POLL_SECONDS)


async def trim(pool: Pool, limit: int = 100_000) -> None:
    """Delete records of nodes that stopped long ago, and up to `limit` acknowledgements of trimmed barriers."""
    async with acquire_within(pool) as connection:
        await connection.execute(_TRIM_NODES)
        await connection.execute(_TRIM_ACKNOWLEDGEMENTS, limit)
