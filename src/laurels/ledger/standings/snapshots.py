"""Snapshots of top lists, and `users.rank`: the rank of each user when the last snapshot was taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from ...domain.boards import Window
from ..catalogue.catalogue import Catalogue
from ..db.pool import Connection, Pool, acquire
from ..db.replicas import Reads
from ..events.journal import announce
from .standings import WINDOW_FUNCTIONS

TOP = 100

CHUNK = 1_000

# Only users whose rank moved, side by side with what they had.
_MOVED = """
CREATE TEMP TABLE moved AS
SELECT u.id AS user_id, p.rank FROM users u
FULL JOIN (SELECT user_id, {function}() OVER (ORDER BY {order}) AS rank FROM standings
           WHERE window_id = {window_id} AND NOT hidden) p ON p.user_id = u.id
WHERE u.rank IS DISTINCT FROM p.rank
ORDER BY u.id"""
_TAKE_CHUNK = """
DELETE FROM moved WHERE user_id <= (
    SELECT max(user_id) FROM (SELECT user_id FROM moved ORDER BY user_id LIMIT $1) first)
RETURNING user_id, rank"""
_LOCK_CHUNK = "SELECT FROM users WHERE id = ANY ($1::bigint[]) ORDER BY id FOR NO KEY UPDATE"
_WRITE_CHUNK = """
UPDATE users u SET rank = n.rank
FROM unnest($1::bigint[], $2::bigint[]) AS n (id, rank) WHERE u.id = n.id"""
_FREEZE = """
WITH top AS (
    SELECT s.user_id, u.username, s.score, s.reached_at, {function}() OVER (ORDER BY {order}) AS rank
    FROM standings s JOIN users u ON u.id = s.user_id
    WHERE s.window_id = $1 AND NOT s.hidden
    ORDER BY s.window_id, s.sort_score, s.reached_at, s.user_id LIMIT $2
)
INSERT INTO scoreboard_snapshots (window_id, top_scores, snapshot_time, total_users)
SELECT $1,
       coalesce((SELECT jsonb_agg(jsonb_build_object('rank', rank, 'user_id', user_id, 'username', username,
                                                     'score', score) ORDER BY rank, reached_at, user_id)
                 FROM top), '[]'),
       clock_timestamp(),
       (SELECT count(*) FROM standings WHERE window_id = $1 AND NOT hidden)
RETURNING id, snapshot_time, total_users"""
_LATEST = """
SELECT e.user_id, e.rank
FROM (SELECT top_scores FROM scoreboard_snapshots WHERE window_id = $1
      ORDER BY snapshot_time DESC LIMIT 1) s,
     jsonb_to_recordset(s.top_scores) AS e (user_id bigint, rank bigint)"""


_LOCK = (0x4C415552, 2)  # "LAUR", the process that takes snapshots
_FREEZING = "SELECT pg_advisory_xact_lock(5498123)"
NO_FREEZING = "SELECT pg_advisory_xact_lock_shared(5498123)"
"""Taken by a transaction that changes names in frozen lists: until it ends, no snapshot writes the old ones."""
_DUE = """
SELECT w FROM unnest($1::bigint[]) AS w
WHERE coalesce((SELECT max(s.snapshot_time) FROM scoreboard_snapshots s WHERE s.window_id = w), '-infinity')
      <= clock_timestamp() - make_interval(secs => $2)"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    id: int
    board: str
    snapshot_time: datetime
    total_users: int


async def freeze(pool: Pool, window: Window) -> Snapshot:
    """Take a snapshot of one window; for the default board also `users.rank`. O(n), in one transaction."""
    function, order = WINDOW_FUNCTIONS[window.board.ties]
    async with acquire(pool) as connection, connection.transaction():
        await connection.execute("SET LOCAL statement_timeout = '300s'")
        await connection.execute(_FREEZING)  # its own statement: the next one sees what committed meanwhile
        row = await connection.fetchrow(_FREEZE.format(function=function, order=order), window.id, TOP)
        assert row is not None
        return Snapshot(row["id"], window.board.slug, row["snapshot_time"], row["total_users"])


async def record_ranks(pool: Pool, window: Window) -> int:
    """Write the rank of each user in this window to `users.rank`; return how many changed.

    In chunks, each a short transaction that locks in id order, so that the writer never waits for all of it.
    """
    function, order = WINDOW_FUNCTIONS[window.board.ties]
    moved = 0
    async with acquire(pool) as connection:
        await connection.execute("SET statement_timeout = '300s'")
        await connection.execute("DROP TABLE IF EXISTS moved")
        await connection.execute(_MOVED.format(function=function, order=order, window_id=window.id))
        while chunk := await _write_chunk(connection):
            moved += chunk
        await connection.execute("DROP TABLE moved")
    return moved


async def _write_chunk(connection: Connection) -> int:
    async with connection.transaction():
        rows = sorted(await connection.fetch(_TAKE_CHUNK, CHUNK))
        if rows:
            ids = [row["user_id"] for row in rows]
            await connection.execute(_LOCK_CHUNK, ids)
            await connection.execute(_WRITE_CHUNK, ids, [row["rank"] for row in rows])
    return len(rows)


async def take(pool: Pool, catalogue: Catalogue, node: UUID) -> list[Snapshot]:
    """Snapshot every open window, record all ranks, and notify the other nodes."""
    return await _take(pool, await catalogue.windows_at(datetime.now(UTC)), node)


async def _take(pool: Pool, windows: Sequence[Window], node: UUID) -> list[Snapshot]:
    taken = []
    for window in windows:
        taken.append(await freeze(pool, window))
        if window.board.is_default:
            await record_ranks(pool, window)
    async with acquire(pool) as connection:
        await announce(connection, node, "snapshot", [])
    return taken


async def take_due(pool: Pool, catalogue: Catalogue, node: UUID, seconds: float) -> list[Snapshot]:
    """Snapshot the windows whose newest snapshot is older than that; of several nodes, one does it.

    The lock belongs to a connection, so a killed node leaves nothing to time out. Which windows are due is read under
    the lock, so a node that comes a moment later finds none.
    """
    windows = await catalogue.windows_at(datetime.now(UTC))
    async with acquire(pool) as connection:
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1, $2)", *_LOCK):
            return []
        try:
            due = {row[0] for row in await connection.fetch(_DUE, [window.id for window in windows], seconds)}
            return await _take(pool, [window for window in windows if window.id in due], node) if due else []
        finally:
            await connection.execute("SELECT pg_advisory_unlock($1, $2)", *_LOCK)


async def latest_ranks(reads: Reads, window_id: int) -> dict[int, int]:
    """Return user id -> rank in the newest snapshot of a window (its top list only)."""
    rows = await reads.fetch(_LATEST, window_id)
    return {row["user_id"]: row["rank"] for row in rows}
