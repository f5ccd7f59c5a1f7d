"""Decide about held actions: each counts from the time it was done, or does not count.

Each decision is one transaction and idempotent.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from ...domain.authorization import Act
from ...domain.errors import Code, LaurelsError
from ..db.paging import Page, keys_of, page
from ..db.pool import Connection, Pool, acquire_per_statement, acquire_within
from ..events import audit
from ..events.audit import Actor
from ..events.journal import EVERY_NODE, announce
from ..standings.refolding import LockedUser, refold_all, refold_standings, windows_covering
from .corrections import LedgerAction, free_claims, lock_action

# LATERAL with a LIMIT: a merge join would read the ledger from its beginning to the newest held action.
PENDING = """
SELECT r.action_id, a.user_id, u.username, t.name AS action_type, a.action_identifier, a.score_earned, r.code, r.detail,
       a.metadata::text AS metadata, a.created_at
FROM reviews r
CROSS JOIN LATERAL (SELECT * FROM actions WHERE id = r.action_id LIMIT 1) a
CROSS JOIN LATERAL (SELECT username FROM users WHERE id = a.user_id LIMIT 1) u
JOIN action_types t ON t.id = a.action_type_id
WHERE r.decided_at IS NULL AND ($1::bigint IS NULL OR r.action_id > $1)
  AND ($2::bigint IS NULL OR a.user_id = $2) AND ($3::text IS NULL OR r.code = $3)
ORDER BY r.action_id LIMIT $4"""
_DECIDE = "UPDATE actions SET status = $2 WHERE id = $1"
_NOTE = """
UPDATE reviews SET decided_at = clock_timestamp(), decided_by = $2, reason = $3 WHERE action_id = $1"""

Decision = Literal["awarded", "rejected"]


class Held(msgspec.Struct, frozen=True):
    """An action that waits for a decision. `score_earned`: what it counts if approved. `metadata` is JSON text."""

    action_id: int
    user_id: int
    username: str
    action_type: str
    action_identifier: str
    score_earned: int
    code: str
    detail: str
    metadata: str | None
    created_at: datetime


class Decided(msgspec.Struct, frozen=True):
    """`replayed`: it was decided so earlier."""

    action_id: int
    user_id: int
    status: Decision
    replayed: bool


async def pending(
    pool: Pool, cursor: str | None, limit: int, *, user_id: int | None = None, code: str | None = None
) -> Page[Held]:
    """List held actions without a decision, oldest first; optionally of one user, or held by one detector."""
    (after,) = keys_of(cursor, int)
    async with acquire_within(pool) as connection:
        rows = await connection.fetch(PENDING, after, user_id, code, limit + 1)
    return page([Held(*row.values()) for row in rows], limit, lambda held: (held.action_id,))


async def approve(pool: Pool, actor: Actor, action_id: int, reason: str) -> Decided:
    """Let a held action count from its own time on, as if it had never been held.

    Raises LaurelsError ACTION_UNKNOWN; FORBIDDEN; NOT_HELD if it was never held, or was rejected; SCORE_OVERFLOW.
    """
    return await _decide(pool, actor, action_id, "awarded", reason)


async def reject(pool: Pool, actor: Actor, action_id: int, reason: str) -> Decided:
    """Reject a held action; what it used up (caps, cooldowns, claims) is free again.

    Raises LaurelsError ACTION_UNKNOWN; FORBIDDEN; NOT_HELD if it was never held, or was approved.
    """
    return await _decide(pool, actor, action_id, "rejected", reason)


async def _decide(pool: Pool, actor: Actor, action_id: int, decision: Decision, reason: str) -> Decided:
    async with acquire_per_statement(pool) as connection, connection.transaction():
        user, action = await lock_action(connection, action_id, actor, Act.REVIEW)
        if action.status != "held":
            await _check_decided_so(connection, action, decision)
            return Decided(action_id, user.id, decision, replayed=True)
        await connection.execute(_DECIDE, action_id, decision)
        await connection.execute(_NOTE, action_id, actor.name, reason)
        await (_count if decision == "awarded" else _discount)(connection, user, action)
        await announce(connection, EVERY_NODE, "standings", [user.id])
        act = "action.approve" if decision == "awarded" else "action.reject"
        await audit.record(connection, actor, act, f"action:{action_id}", before="held", after=decision, reason=reason)
    return Decided(action_id, user.id, decision, replayed=False)


async def _check_decided_so(connection: Connection, action: LedgerAction, decision: Decision) -> None:
    was_held = await connection.fetchval("SELECT EXISTS (SELECT FROM reviews WHERE action_id = $1)", action.id)
    if not was_held or action.status != decision:
        raise LaurelsError(Code.NOT_HELD, f"This action is {action.status}: there is nothing to decide.")


async def _count(connection: Connection, user: LockedUser, action: LedgerAction) -> None:
    windows = await windows_covering(connection, action.created_at)
    takers = [window for window in windows if window.board.takes(action.action_type_id)]
    await refold_standings(connection, user, takers)


async def _discount(connection: Connection, user: LockedUser, action: LedgerAction) -> None:
    await free_claims(connection, action)
    await refold_all(connection, user, [], action.action_type_id)
