"""Find and repair standings that differ from the ledger's rows.

Laurels itself cannot cause a difference; manual changes in the database or a faulty restore can.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import groupby
from typing import Any
from uuid import UUID

import asyncpg

from ...domain.boards import Window
from ...domain.refold import LedgerRowToFold, fold_rows
from ...domain.standings import micros
from ..db.pool import Connection, Pool, acquire
from ..events.journal import announce
from .refolding import lock_user, refold_standings

PAGE = 20_000
_ROWS = """
SELECT a.user_id, a.id, a.kind, a.status, a.action_type_id, a.score_earned, a.created_at, r.id IS NOT NULL AS undone
FROM actions a LEFT JOIN actions r ON r.reverses = a.id
WHERE a.status = 'awarded' AND a.kind <> 'reversal'
  AND ($1::timestamptz IS NULL OR a.created_at >= $1) AND ($2::timestamptz IS NULL OR a.created_at < $2)
  AND ($3::int[] IS NULL OR a.action_type_id = ANY ($3))
ORDER BY a.user_id, a.id"""
_PRESENT = """
SELECT s.user_id, s.score, s.reached_at, s.hidden <> (u.status <> 'active' OR s.void) AS misplaced
FROM standings s JOIN users u ON u.id = s.user_id
WHERE s.window_id = $1 AND (NOT s.void OR NOT s.hidden)
ORDER BY s.user_id"""
_DIFFERING_CURRENT = """
SELECT u.id AS user_id FROM users u LEFT JOIN standings s ON s.window_id = $1 AND s.user_id = u.id AND NOT s.void
WHERE u.current_score <> coalesce(s.score, 0)"""

_Fold = tuple[int, int]
"""(score, reached_at in microseconds)."""


async def refold(pool: Pool, window: Window, node: UUID) -> int:
    """Repair one window and return how many users were repaired.

    One short transaction per user, with the user's row locked, so that the writer continues meanwhile.
    """
    async with acquire(pool) as connection:
        await connection.execute("SET statement_timeout = '300s'")
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            users = await _differing(connection, window)
        for user_id in users:
            async with connection.transaction():
                await refold_standings(connection, await lock_user(connection, user_id), [window])
                await announce(connection, node, "standings", [user_id])
    return len(users)


async def count_differing(connection: Connection, window: Window) -> int:
    """Return users whose standing (or `current_score`) is not the fold of their rows.

    Runs inside the caller's transaction, which must be of one snapshot. O(rows of the window).
    """
    return len(await _differing(connection, window))


async def _differing(connection: Connection, window: Window) -> list[int]:
    found = [user_id async for user_id in _differing_standings(connection, window)]
    if window.board.is_default:
        found += [row["user_id"] for row in await connection.fetch(_DIFFERING_CURRENT, window.id)]
    return sorted(set(found))


async def _differing_standings(connection: Connection, window: Window) -> AsyncIterator[int]:
    """Merge both sides in the order of their users."""
    folds, present = _folds(connection, window), _present(connection, window)
    fold, held = await anext(folds, None), await anext(present, None)
    while fold is not None or held is not None:
        user_id = min(side[0] for side in (fold, held) if side is not None)
        mine = fold if fold is not None and fold[0] == user_id else None
        theirs = held if held is not None and held[0] == user_id else None
        if mine != theirs:
            yield user_id
        if mine is not None:
            fold = await anext(folds, None)
        if theirs is not None:
            held = await anext(present, None)


async def _folds(connection: Connection, window: Window) -> AsyncIterator[tuple[int, _Fold | None]]:
    """Yield (user id, fold of the user's rows) of all users with a row that counts in the window."""
    async for user_id, rows in _by_user(connection, window):
        standing = fold_rows([LedgerRowToFold(*members) for _, *members in rows], window)
        if standing is not None:
            yield user_id, (standing.score, standing.reached_at)


async def _by_user(connection: Connection, window: Window) -> AsyncIterator[tuple[int, list[asyncpg.Record]]]:
    """Yield the rows of one user after the other. A page may end in the middle of a user."""
    kinds = window.board.action_types
    scope = window.span.starts_at, window.span.ends_at, None if kinds is None else sorted(kinds)
    cursor = await connection.cursor(_ROWS, *scope)
    pending: list[asyncpg.Record] = []
    while page := await cursor.fetch(PAGE):
        groups = [list(rows) for _, rows in groupby(page, lambda row: row["user_id"])]
        if pending and pending[0]["user_id"] == groups[0][0]["user_id"]:
            groups[0] = pending + groups[0]
        elif pending:
            groups.insert(0, pending)
        pending = groups.pop()
        for rows in groups:
            yield rows[0]["user_id"], rows
    if pending:
        yield pending[0]["user_id"], pending


async def _present(connection: Connection, window: Window) -> AsyncIterator[tuple[int, Any]]:
    """Yield (user id, stored standing); None for one whose visibility is wrong."""
    async for row in connection.cursor(_PRESENT, window.id, prefetch=PAGE):
        fold = row["score"], micros(row["reached_at"])
        yield row["user_id"], None if row["misplaced"] else fold
