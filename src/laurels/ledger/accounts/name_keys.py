"""Recompute the keys of names that were stored before the keys were computed as today."""

from __future__ import annotations

import secrets

import asyncpg
import structlog

from ...domain.names import MAX_LENGTH, Name, name_of
from ..db.pool import Connection, DatabaseUnusable, Pool, acquire
from ..events.journal import EVERY_NODE, announce
from ..write.sql import columns

log = structlog.get_logger(__name__)

AT_ONCE = 1_000
STALE = "SELECT id, username FROM users WHERE username_similar IS NULL ORDER BY id LIMIT $1 FOR NO KEY UPDATE"
_UPDATE = """
UPDATE users u SET username = n.display, username_fold = n.fold, username_skeleton = n.skeleton,
       username_similar = n.alike
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[]) AS n (id, display, fold, skeleton, alike)
WHERE u.id = n.id"""


async def refresh(pool: Pool) -> int:
    """Compute all keys of rows that lack the newest; return how many. May run on several nodes at once, and again."""
    done = 0
    while True:
        async with acquire(pool) as connection, connection.transaction():
            rows = [(row["id"], row["username"]) for row in await connection.fetch(STALE, AT_ONCE)]
            await _update(connection, rows)
        done += len(rows)
        if len(rows) < AT_ONCE:
            return done


async def _update(connection: Connection, rows: list[tuple[int, str]]) -> None:
    """Write all keys at once; where two names have become equal, one by one."""
    if not rows:
        return
    try:
        async with connection.transaction():
            await _write(connection, [(user_id, name_of(username)) for user_id, username in rows])
    except asyncpg.UniqueViolationError:
        for user_id, username in rows:
            await _update_one(connection, user_id, username)


async def _update_one(connection: Connection, user_id: int, username: str) -> None:
    """Write one account's keys; rename it if its name differs in nothing visible from an older account's."""
    mark = f"-{user_id}"
    marked = username[: MAX_LENGTH - len(mark)].rstrip() + mark
    for name in (username, marked, f"player-{secrets.token_hex(8)}"):
        try:
            async with connection.transaction():
                await _write(connection, [(user_id, name_of(name))])
        except asyncpg.UniqueViolationError:
            continue
        if name != username:
            log.warning("account renamed: its name only looked different from another's", user=user_id)
            await announce(connection, EVERY_NODE, "users", [user_id])
        return
    raise DatabaseUnusable(f"the name of user {user_id} can't be made unique: start again")


async def _write(connection: Connection, named: list[tuple[int, Name]]) -> None:
    values = [(user_id, name.display, name.fold, name.skeleton, name.similar) for user_id, name in named]
    await connection.execute(_UPDATE, *columns(values, 5))
