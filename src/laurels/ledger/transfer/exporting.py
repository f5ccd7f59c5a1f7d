"""Export rows, all of one instant, in pages of bounded memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any

import asyncpg
import msgspec

from ..db.pool import Pool, acquire
from .records import LedgerRecord, TypeRecord, UserRecord

PAGE = 5_000

_USERS = """
SELECT username, email, role, status, CASE WHEN $1 THEN password_hash END AS password_hash,
       external_issuer, external_subject, created_at
FROM users ORDER BY id"""
_TYPES = """
SELECT name, base_score, description, scoring_rules::text AS scoring_rules, is_active FROM action_types ORDER BY id"""
# By user, so that an import folds each user's rows together; oldest first, so that undone rows precede reversals.
_LEDGER = """
SELECT u.username, a.score_earned, a.kind, t.name AS action_type, a.action_identifier,
       undone.action_identifier AS undoes, coalesce(undone.kind, 'completion') AS undoes_kind, a.status,
       a.metadata::text AS metadata, a.reason, r.code AS held_code, r.detail AS held_detail,
       a.new_score, a.fingerprint, a.completed_at, a.created_at
FROM actions a
JOIN users u ON u.id = a.user_id
LEFT JOIN action_types t ON t.id = a.action_type_id
LEFT JOIN actions undone ON undone.id = a.reverses
LEFT JOIN reviews r ON r.action_id = a.id AND a.status = 'held'
ORDER BY a.user_id, a.id"""
COUNTS = {
    "users": "SELECT count(*) FROM users",
    "action-types": "SELECT count(*) FROM action_types",
    "ledger": "SELECT count(*) FROM actions",
}


async def export_users(pool: Pool, *, password_hashes: bool) -> AsyncGenerator[list[UserRecord], None]:
    """Yield all users, oldest account first; with password hashes only if requested."""
    async for rows in _pages(pool, _USERS, password_hashes):
        yield [UserRecord(**row) for row in rows]


async def export_types(pool: Pool) -> AsyncGenerator[list[TypeRecord], None]:
    async for rows in _pages(pool, _TYPES):
        yield [msgspec.convert(_decoded(row, "scoring_rules"), TypeRecord) for row in rows]


async def export_ledger(pool: Pool) -> AsyncGenerator[list[LedgerRecord], None]:
    """Yield every row of the ledger, user by user, oldest first."""
    async for rows in _pages(pool, _LEDGER):
        yield [LedgerRecord(**_decoded(row, "metadata")) for row in rows]


async def count(pool: Pool, what: str) -> int:
    """Return how many rows an export of `what` will have."""
    async with acquire(pool) as connection:
        await connection.execute("SET statement_timeout = 0")
        return int(await connection.fetchval(COUNTS[what]))


async def _pages(pool: Pool, statement: str, *arguments: object) -> AsyncGenerator[Sequence[asyncpg.Record], None]:
    async with acquire(pool) as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute("SET LOCAL statement_timeout = 0")
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = '300s'")
        cursor = await connection.cursor(statement, *arguments)
        while rows := await cursor.fetch(PAGE):
            yield rows


def _decoded(row: asyncpg.Record, member: str) -> dict[str, Any]:
    text = row[member]
    return {**row, member: None if text is None else msgspec.json.decode(text)}
