"""Authorize changes in their own transactions, on rows that stay locked until they end.

Roles and scopes that were read earlier (at the edge, in a token) may have been taken back meanwhile. Every function
here runs inside the caller's transaction. Order of locks: API keys, then users by id, then the lock of the admins.
"""

from __future__ import annotations

from collections.abc import Collection

from ..domain.authorization import (
    AccountRole,
    Act,
    ActingParty,
    KeyHolder,
    Machine,
    Scope,
    may_act_on,
    may_change,
    may_manage_key,
)
from ..domain.errors import Code, LaurelsError
from .db.pool import Connection
from .events.audit import Actor

_LOCK_USERS = """
SELECT id, role, status FROM users WHERE id = ANY ($1::bigint[]) ORDER BY id FOR NO KEY UPDATE"""
_LOCK_KEY = "SELECT scopes FROM api_keys WHERE id = $1 AND revoked_at IS NULL FOR SHARE"
_LOCK_ADMINS = "SELECT pg_advisory_xact_lock(5498131)"
ANOTHER_ADMIN = "SELECT EXISTS (SELECT FROM users WHERE role = 'admin' AND status = 'active' AND id <> $1)"


async def authorize(connection: Connection, actor: Actor, act: Act, user_id: int) -> AccountRole:
    """Lock the actor and the account that the act concerns, and return that account.

    Raises LaurelsError FORBIDDEN, USER_UNKNOWN, or API_KEY_INVALID for a key that was revoked meanwhile.
    """
    key = await _lock_key(connection, actor)
    involved = {user_id} if actor.user_id is None else {user_id, actor.user_id}
    accounts = await _lock_users(connection, involved)
    principal = key or _principal(actor, accounts)
    target = accounts.get(user_id)
    if target is None:
        raise LaurelsError(Code.USER_UNKNOWN, f"There is no user with id {user_id}.")
    _raise(may_act_on(principal, act, target))
    return target


async def authorize_change(connection: Connection, actor: Actor, scope: Scope) -> None:
    """Check that the actor may change what `scope` covers. Raises LaurelsError as `authorize` does."""
    _raise(may_change(await _lock_principal(connection, actor), scope))


async def authorize_key(connection: Connection, actor: Actor, scopes: Collection[str]) -> None:
    """Check that the actor may manage a key with these scopes. Raises LaurelsError as `authorize` does."""
    _raise(may_manage_key(await _lock_principal(connection, actor), scopes))


async def lock_account(connection: Connection, user_id: int) -> AccountRole:
    """Return an account whose row is locked. Raises LaurelsError(USER_UNKNOWN)."""
    accounts = await _lock_users(connection, {user_id})
    if user_id not in accounts:
        raise LaurelsError(Code.USER_UNKNOWN, f"There is no user with id {user_id}.")
    return accounts[user_id]


async def keep_an_admin(connection: Connection, account: AccountRole) -> None:
    """Refuse to take the last active admin out of office. Call it before whatever does, with the account locked.

    Every removal of an admin waits for one lock, so of two admins who remove each other the second sees the first.
    Raises LaurelsError(LAST_ADMIN).
    """
    if account.role != "admin" or account.status != "active":
        return
    await connection.execute(_LOCK_ADMINS)
    if not await connection.fetchval(ANOTHER_ADMIN, account.id):
        raise LaurelsError(Code.LAST_ADMIN, "This is the last active admin: make another one first.")


async def _lock_principal(connection: Connection, actor: Actor) -> ActingParty:
    key = await _lock_key(connection, actor)
    if key is not None:
        return key
    involved = set() if actor.user_id is None else {actor.user_id}
    return _principal(actor, await _lock_users(connection, involved) if involved else {})


async def _lock_key(connection: Connection, actor: Actor) -> KeyHolder | None:
    if actor.key_id is None:
        return None
    scopes = await connection.fetchval(_LOCK_KEY, actor.key_id)
    if scopes is None:
        raise LaurelsError(Code.API_KEY_INVALID, "This API key is unknown, revoked or rotated away.")
    return KeyHolder(frozenset(scopes))


async def _lock_users(connection: Connection, ids: Collection[int]) -> dict[int, AccountRole]:
    rows = await connection.fetch(_LOCK_USERS, sorted(ids))
    return {row["id"]: AccountRole(*row.values()) for row in rows}


def _principal(actor: Actor, accounts: dict[int, AccountRole]) -> ActingParty:
    if actor.is_machine:
        return Machine()
    found = None if actor.user_id is None else accounts.get(actor.user_id)
    if found is None:
        raise LaurelsError(Code.FORBIDDEN, f"{actor.name} may do nothing here.")
    return found


def _raise(refusal: LaurelsError | None) -> None:
    if refusal is not None:
        raise refusal
