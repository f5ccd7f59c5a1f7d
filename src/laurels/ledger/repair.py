"""Standings folded anew from the ledger, where the two differ.

That can't happen through Laurels; it can through a hand in the database or a faulty restore.
"""

from __future__ import annotations

from uuid import UUID

from ..domain.boards import Window
from ..domain.standings import sort_score
from .journal import announce
from .pool import Connection, Pool, acquire

_FOLDED = """
SELECT user_id, sum(score_earned) AS score,
       coalesce(max(created_at) FILTER (WHERE score_earned <> 0), min(created_at)) AS reached_at
FROM actions
WHERE status = 'awarded'
  AND ($1::timestamptz IS NULL OR created_at >= $1) AND ($2::timestamptz IS NULL OR created_at < $2)
  AND ($3::int[] IS NULL OR action_type_id = ANY ($3))
  AND ($4::bigint IS NULL OR user_id = $4)
GROUP BY user_id"""
DIFFERING = f"""
SELECT coalesce(a.user_id, s.user_id) AS user_id
FROM ({_FOLDED}) a
FULL JOIN (SELECT user_id, score FROM standings WHERE window_id = $5) s ON s.user_id = a.user_id
WHERE a.score IS DISTINCT FROM s.score"""
_DIFFERING_CURRENT = """
SELECT u.id AS user_id FROM users u LEFT JOIN standings s ON s.window_id = $1 AND s.user_id = u.id
WHERE u.current_score <> coalesce(s.score, 0)"""
_LOCK = "SELECT status FROM users WHERE id = $1 FOR NO KEY UPDATE"
_PUT = """
INSERT INTO standings (window_id, user_id, score, sort_score, reached_at, version, hidden)
VALUES ($1, $2, $3, $4, $5, 1, $6)
ON CONFLICT (user_id, window_id) DO UPDATE
SET score = EXCLUDED.score, sort_score = EXCLUDED.sort_score, reached_at = EXCLUDED.reached_at,
    version = standings.version + 1"""
_DROP = "DELETE FROM standings WHERE window_id = $1 AND user_id = $2"
_CURRENT = "UPDATE users SET current_score = $2 WHERE id = $1 AND current_score <> $2"


async def refold(pool: Pool, window: Window, node: UUID) -> int:
    """Repair one window of a summing board; returns how many users were repaired.

    One short transaction per user, under that user's lock, so that the writer goes on beside it.
    """
    if window.board.aggregate != "sum":
        return 0
    async with acquire(pool) as connection:
        await connection.execute("SET statement_timeout = '300s'")
        users = await _differing(connection, window)
        for user_id in users:
            async with connection.transaction():
                await _refold_user(connection, window, user_id)
                await announce(connection, node, "standings", [user_id])
    return len(users)


async def count_differing(connection: Connection, window: Window) -> int:
    """Users whose standing (or `current_score`) is not the sum of their actions."""
    return len(await _differing(connection, window))


async def _differing(connection: Connection, window: Window) -> list[int]:
    rows = await connection.fetch(DIFFERING, *_scope(window, None), window.id)
    if window.board.is_default:
        rows += await connection.fetch(_DIFFERING_CURRENT, window.id)
    return sorted({row["user_id"] for row in rows})


async def _refold_user(connection: Connection, window: Window, user_id: int) -> None:
    status = await connection.fetchval(_LOCK, user_id)
    row = await connection.fetchrow(_FOLDED, *_scope(window, user_id))
    if row is None:
        await connection.execute(_DROP, window.id, user_id)
    else:
        score = int(row["score"])
        value = sort_score(score, window.board.order)
        await connection.execute(_PUT, window.id, user_id, score, value, row["reached_at"], status != "active")
    if window.board.is_default:
        await connection.execute(_CURRENT, user_id, 0 if row is None else int(row["score"]))


def _scope(window: Window, user_id: int | None) -> tuple[object, ...]:
    kinds = window.board.action_types
    return window.span.starts_at, window.span.ends_at, None if kinds is None else sorted(kinds), user_id
