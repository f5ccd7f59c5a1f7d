"""Ban, shadow-ban and reinstate users.

    banned    off every board, and locked out; every token ends, so a lifted ban needs a new log-in
    shadowed  off every board for everyone but the user, who does not notice
    active    on every board, with exactly the standings of a user who was never sanctioned

Each change is one transaction with its entry in the audit trail, and may be repeated. Every node follows the journal.
"""

from __future__ import annotations

from typing import Literal

from ...domain.authorization import Act
from ...domain.errors import Code, LaurelsError
from ..authorization import authorize, keep_an_admin
from ..db.pool import Connection, Pool, acquire_within
from ..events import audit
from ..events.audit import Actor
from ..events.journal import EVERY_NODE, announce
from .sessions import end_all

Sanction = Literal["active", "shadowed", "banned"]

_SET = "UPDATE users SET status = $2, updated_at = clock_timestamp() WHERE id = $1"
HIDE = """
UPDATE standings SET hidden = $2 OR void, version = version + 1 WHERE user_id = $1 AND hidden <> ($2 OR void)"""
_ACTS = {"active": "user.lift", "shadowed": "user.shadow", "banned": "user.ban"}


async def ban(pool: Pool, actor: Actor, user_id: int, reason: str | None) -> bool:
    """Ban a user. Return False if that was so already.

    Raises LaurelsError USER_UNKNOWN (also for an erased user), FORBIDDEN or LAST_ADMIN.
    """
    return await _set(pool, actor, user_id, "banned", reason)


async def shadow(pool: Pool, actor: Actor, user_id: int, reason: str | None) -> bool:
    """Shadow-ban a user; a banned one may log in again. Returns and raises as `ban`."""
    return await _set(pool, actor, user_id, "shadowed", reason)


async def lift(pool: Pool, actor: Actor, user_id: int, reason: str | None) -> bool:
    """Lift a ban or shadow ban. Returns and raises as `ban`."""
    return await _set(pool, actor, user_id, "active", reason)


async def hide(connection: Connection, user_id: int, *, hidden: bool) -> None:
    """Take all standings of a user off their boards, or put back those that are not void. The user's row is locked."""
    await connection.execute(HIDE, user_id, hidden)
    await announce(connection, EVERY_NODE, "users", [user_id])
    await announce(connection, EVERY_NODE, "standings", [user_id])


async def _set(pool: Pool, actor: Actor, user_id: int, status: Sanction, reason: str | None) -> bool:
    async with acquire_within(pool) as connection, connection.transaction():
        target = await authorize(connection, actor, Act.SET_STATUS, user_id)
        before = target.status
        if before == "erased":
            raise LaurelsError(Code.USER_UNKNOWN, f"There is no user with id {user_id}.")
        if before == status:
            return False
        if status != "active":
            await keep_an_admin(connection, target)
        await connection.execute(_SET, user_id, status)
        await hide(connection, user_id, hidden=status != "active")
        if status == "banned":
            await end_all(connection, user_id)
        await audit.record(
            connection, actor, _ACTS[status], f"user:{user_id}", before=before, after=status, reason=reason
        )
    return True
