"""Undo or add by hand: a correction is a row of its own, and no row is ever removed.

A reversal holds the negative of what it undoes, so the awarded rows of a user still add up. Standings are folded
again as if the undone row had never existed, in every window that counted it, also in earlier ones (their frozen
snapshots stay: they record what was shown). What the row used up is free again: caps, streaks, claims. Scores that
other rows got because of it (a streak, a requirement it met) stay: they were right when they were awarded.

Every function is one transaction and idempotent. The index follows the journal.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from ...domain.authorization import Act
from ...domain.boards import Window
from ...domain.errors import Code, LaurelsError
from ...domain.standings import INT64_MAX, INT64_MIN, Standing, fold, micros
from ..authorization import authorize
from ..catalogue.catalogue import Catalogue
from ..db.pool import Connection, Pool, acquire_per_statement
from ..events import audit
from ..events.audit import Actor
from ..events.journal import EVERY_NODE, announce
from ..standings.refolding import LockedUser, lock_user, put_standings, refold_all, standings_of, windows_covering

_FIND = """
SELECT id, user_id, kind, status, action_type_id, score_earned, created_at FROM actions WHERE id = $1"""
_REVERSAL_OF = "SELECT id, score_earned, new_score FROM actions WHERE reverses = $1"
_INSERT = """
INSERT INTO actions (user_id, kind, reverses, action_type_id, action_identifier, score_earned, new_score, reason,
                     fingerprint, batch_id, completed_at, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, $10, $10) RETURNING id"""
_CLOCK = "SELECT clock_timestamp()"
_ADJUSTMENT = """
SELECT id, score_earned, new_score, reason FROM actions
WHERE user_id = $1 AND action_identifier = $2 AND kind = 'adjustment'"""
_RELEASE_CLAIMS = "DELETE FROM claims WHERE action_id = $1"
_UNCOUNT = """
UPDATE action_type_totals SET total = greatest(total - 1, 0) WHERE action_type_id = $1 AND since <= $2"""


class LedgerAction(msgspec.Struct, frozen=True, gc=False):
    """The columns of a row of the ledger that a decision needs."""

    id: int
    user_id: int
    kind: str
    status: str
    action_type_id: int | None
    score_earned: int
    created_at: datetime


class Correction(msgspec.Struct, frozen=True):
    """The added row, and the user's score on the default board right after it. `replayed`: it was added earlier."""

    action_id: int
    user_id: int
    points: int
    new_score: int
    replayed: bool


async def reverse(pool: Pool, actor: Actor, action_id: int, reason: str) -> Correction:
    """Undo an awarded action or an adjustment. O(rows of its user), with the user's row locked.

    Raises LaurelsError ACTION_UNKNOWN; FORBIDDEN; NOT_REVERSIBLE for reversals and for rows that are not awarded;
    SCORE_OVERFLOW when the sum without it would leave int64.
    """
    async with acquire_per_statement(pool) as connection, connection.transaction():
        user, action = await lock_action(connection, action_id, actor, Act.REVERSE)
        known = await connection.fetchrow(_REVERSAL_OF, action_id)
        if known is not None:
            return Correction(known["id"], user.id, known["score_earned"], known["new_score"], replayed=True)
        _check_reversible(action)
        windows = await windows_covering(connection, action.created_at)
        windows = [window for window in windows if window.board.takes(action.action_type_id)]
        await refold_all(connection, user, windows, action.action_type_id, without=action_id)
        await free_claims(connection, action)
        return await _add(connection, actor, user, action, -action.score_earned, reason)


async def adjust(
    pool: Pool, catalogue: Catalogue, actor: Actor, user_id: int, points: int, reason: str, identifier: str
) -> Correction:
    """Add (or, negative, remove) points by hand, on every board that counts all types and sums.

    `identifier` names the adjustment among those of the user; a repeated one has no effect. Raises LaurelsError
    USER_UNKNOWN, FORBIDDEN, IDENTIFIER_CONFLICT, SCORE_OVERFLOW, or NOT_ADJUSTABLE when the default board does not sum.
    """
    if not INT64_MIN < points <= INT64_MAX:
        raise LaurelsError(Code.SCORE_OVERFLOW, "Points are a 64-bit integer.")
    if catalogue.default_board.aggregate != "sum":
        raise LaurelsError(Code.NOT_ADJUSTABLE, "The default board does not add points up: reverse actions instead.")
    async with acquire_per_statement(pool) as connection, connection.transaction():
        await authorize(connection, actor, Act.ADJUST, user_id)
        user = await lock_user(connection, user_id)
        known = await connection.fetchrow(_ADJUSTMENT, user_id, identifier)
        if known is not None:
            if (known["score_earned"], known["reason"]) != (points, reason):
                raise LaurelsError(Code.IDENTIFIER_CONFLICT, f"{identifier!r} names another adjustment of this user.")
            return Correction(known["id"], user_id, points, known["new_score"], replayed=True)
        now = await connection.fetchval(_CLOCK)
        windows = [window for window in await catalogue.windows_at(now) if window.board.takes(None)]
        await put_standings(connection, user, windows, await _folded(connection, user, windows, points, now))
        return await _add(connection, actor, user, None, points, reason, identifier=identifier, now=now)


async def lock_action(
    connection: Connection, action_id: int, actor: Actor, act: Act
) -> tuple[LockedUser, LedgerAction]:
    """Return an action that the actor may decide about, read with the user's row locked.

    Raises LaurelsError ACTION_UNKNOWN or FORBIDDEN.
    """
    row = await connection.fetchrow(_FIND, action_id) if 0 < action_id <= INT64_MAX else None
    if row is None:
        raise LaurelsError(Code.ACTION_UNKNOWN, f"There is no action {action_id}.")
    await authorize(connection, actor, act, row["user_id"])
    user = await lock_user(connection, row["user_id"])
    # Read again: only a new statement sees what committed while the lock was waited for.
    return user, LedgerAction(*(await connection.fetchrow(_FIND, action_id)).values())


async def free_claims(connection: Connection, action: LedgerAction) -> None:
    """Release what an action counted for all users together: the total of its type, and its claim."""
    await connection.execute(_UNCOUNT, action.action_type_id, action.created_at)
    await connection.execute(_RELEASE_CLAIMS, action.id)


def _check_reversible(action: LedgerAction) -> None:
    if action.kind == "reversal":
        raise LaurelsError(Code.NOT_REVERSIBLE, "This is a reversal. Adjust the score of its user instead.")
    if action.status != "awarded":
        raise LaurelsError(Code.NOT_REVERSIBLE, f"This action is {action.status}: it counts nothing.")
    if action.score_earned == INT64_MIN:
        raise LaurelsError(Code.SCORE_OVERFLOW, "The negative of this score would leave the range of a 64-bit integer.")


async def _folded(
    connection: Connection, user: LockedUser, windows: Sequence[Window], points: int, now: datetime
) -> dict[int, Standing]:
    present = await standings_of(connection, user.id, windows)
    return {
        window.id: fold(present.get(window.id), points, micros(now), window.board.aggregate, window.board.order)
        for window in windows
    }


async def _add(
    connection: Connection,
    actor: Actor,
    user: LockedUser,
    undone: LedgerAction | None,
    points: int,
    reason: str,
    *,
    identifier: str | None = None,
    now: datetime | None = None,
) -> Correction:
    """Write the row with its entries in the audit trail and in the journal."""
    kind, act = ("adjustment", "user.adjust") if undone is None else ("reversal", "action.reverse")
    reverses, type_id = (None, None) if undone is None else (undone.id, undone.action_type_id)
    batch_id = await announce(connection, EVERY_NODE, "standings", [user.id])
    new_score = await connection.fetchval("SELECT current_score FROM users WHERE id = $1", user.id)
    at = now or await connection.fetchval(_CLOCK)
    added = await connection.fetchval(
        _INSERT, user.id, kind, reverses, type_id, identifier, points, new_score, reason, batch_id, at
    )
    subject = f"user:{user.id}" if undone is None else f"action:{undone.id}"
    after = {"action": added, "user": user.id, "points": points, "new_score": new_score}
    await audit.record(connection, actor, act, subject, after=after, reason=reason)
    return Correction(added, user.id, points, new_score, replayed=False)
