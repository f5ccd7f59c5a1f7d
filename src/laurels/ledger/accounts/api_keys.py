"""API keys of servers, as rows: scopes and digests of secrets. Their format is decided in the layers above."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from ...domain.authorization import Scope
from ...domain.errors import Code, LaurelsError
from ..authorization import authorize_key
from ..db.paging import Page, keys_of, page
from ..db.pool import Connection, Pool, acquire_within
from ..events.audit import Actor, record
from ..events.journal import announce

MAX_KEYS = 1_000
"""Keys in force at once; every node holds all of them in memory."""

_IN_FORCE = """
SELECT k.id, k.name, k.scopes, s.secret_hash, s.signing_secret, s.expires_at
FROM api_keys k JOIN api_key_secrets s ON s.key_id = k.id
WHERE k.revoked_at IS NULL ORDER BY k.id, s.created_at DESC"""
_DESCRIBED = """
SELECT k.id, k.name, k.scopes, k.created_at, k.last_used_at, k.revoked_at,
       (SELECT max(s.expires_at) FROM api_key_secrets s WHERE s.key_id = k.id AND s.expires_at > now()) AS overlap_until
FROM api_keys k"""
_PAGE = _DESCRIBED + " WHERE ($1::bigint IS NULL OR k.id < $1) ORDER BY k.id DESC LIMIT $2"
_ONE = _DESCRIBED + " WHERE k.id = $1"
_COUNT = "SELECT count(*) FROM api_keys WHERE revoked_at IS NULL"
_INSERT = "INSERT INTO api_keys (name, scopes) VALUES ($1, $2) RETURNING id"
_ISSUE = "INSERT INTO api_key_secrets (key_id, secret_hash, signing_secret) VALUES ($1, $2, $3)"
_LOCK = "SELECT scopes FROM api_keys WHERE id = $1 AND revoked_at IS NULL FOR UPDATE"
_END_OLDER = "DELETE FROM api_key_secrets WHERE key_id = $1 AND expires_at IS NOT NULL"
_END_CURRENT = "UPDATE api_key_secrets SET expires_at = now() + $2 WHERE key_id = $1"
_REVOKE = "UPDATE api_keys SET revoked_at = now() WHERE id = $1"
_DROP_SECRETS = "DELETE FROM api_key_secrets WHERE key_id = $1"
_USED = "UPDATE api_keys SET last_used_at = now() WHERE id = ANY ($1::bigint[])"


@dataclass(frozen=True, slots=True)
class KeyDescription:
    """A key as operators see it. `overlap_until`: when the secret before the last rotation ends."""

    id: int
    name: str
    scopes: list[Scope]
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None
    overlap_until: datetime | None


@dataclass(frozen=True, slots=True)
class Secret:
    """The digest and the signing secret of one issue of a key; `signing` is as stored."""

    hash: bytes
    signing: bytes
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class KeyInForce:
    id: int
    name: str
    scopes: frozenset[str]
    secrets: tuple[Secret, ...]


class ApiKeys:
    """Read and write API keys; every method is one short transaction. Changes are audited and journalled."""

    def __init__(self, pool: Pool, node: UUID) -> None:
        self._pool = pool
        self._node = node

    async def in_force(self) -> list[KeyInForce]:
        """Return all keys that are not revoked, with their secrets. O(keys)."""
        async with acquire_within(self._pool) as connection:
            rows = await connection.fetch(_IN_FORCE)
        found: dict[int, KeyInForce] = {}
        for key_id, name, scopes, *secret in rows:
            known = found.get(key_id)
            secrets = (*(known.secrets if known else ()), Secret(*secret))
            found[key_id] = KeyInForce(key_id, name, frozenset(scopes), secrets)
        return list(found.values())

    async def newest(self, cursor: str | None, limit: int) -> Page[KeyDescription]:
        """Return all keys, revoked ones included, newest first."""
        keys = keys_of(cursor, int)
        async with acquire_within(self._pool) as connection:
            rows = await connection.fetch(_PAGE, *keys, limit + 1)
        return page([KeyDescription(**row) for row in rows], limit, lambda key: (key.id,))

    async def create(self, name: str, scopes: Sequence[Scope], secret: Secret, actor: Actor) -> KeyDescription:
        """Create a key. Raises LaurelsError TOO_MANY_KEYS, or FORBIDDEN for scopes that the actor may not grant."""
        async with acquire_within(self._pool) as connection, connection.transaction():
            await authorize_key(connection, actor, scopes)
            if await connection.fetchval(_COUNT) >= MAX_KEYS:
                raise LaurelsError(Code.TOO_MANY_KEYS, f"There are {MAX_KEYS} keys: revoke those no longer used.")
            key_id = await connection.fetchval(_INSERT, name, sorted(set(scopes)))
            await connection.execute(_ISSUE, key_id, secret.hash, secret.signing)
            return await self._changed(connection, key_id, actor, "key.create", None)

    async def rotate(
        self, key_id: int, secret: Secret, overlap: timedelta, actor: Actor, reason: str | None = None
    ) -> KeyDescription:
        """Issue a new secret; the one before it stays valid for `overlap`, older ones end now.

        Raises LaurelsError KEY_UNKNOWN or FORBIDDEN.
        """
        async with acquire_within(self._pool) as connection, connection.transaction():
            await _lock(connection, key_id, actor)
            await connection.execute(_END_OLDER, key_id)
            await connection.execute(_END_CURRENT, key_id, overlap)
            await connection.execute(_ISSUE, key_id, secret.hash, secret.signing)
            return await self._changed(connection, key_id, actor, "key.rotate", reason)

    async def revoke(self, key_id: int, actor: Actor, reason: str | None = None) -> KeyDescription:
        """End a key on every node; its row and its audit trail stay.

        Raises LaurelsError KEY_UNKNOWN or FORBIDDEN.
        """
        async with acquire_within(self._pool) as connection, connection.transaction():
            await _lock(connection, key_id, actor)
            await connection.execute(_REVOKE, key_id)
            await connection.execute(_DROP_SECRETS, key_id)
            return await self._changed(connection, key_id, actor, "key.revoke", reason)

    async def used(self, key_ids: Iterable[int]) -> None:
        """Record that these keys were used just now."""
        async with acquire_within(self._pool) as connection:
            await connection.execute(_USED, sorted(key_ids))

    async def _changed(
        self, connection: Connection, key_id: int, actor: Actor, act: str, reason: str | None
    ) -> KeyDescription:
        after = KeyDescription(**await connection.fetchrow(_ONE, key_id))
        seen = {"name": after.name, "scopes": after.scopes, "overlap_until": after.overlap_until}
        await record(connection, actor, act, f"key:{key_id}", after=seen, reason=reason)
        await announce(connection, self._node, "catalogue", [])
        return after


async def _lock(connection: Connection, key_id: int, actor: Actor) -> None:
    """Lock a key that the actor may manage."""
    # Two keys that manage each other: the lower id is locked first.
    if actor.key_id is not None and actor.key_id < key_id:
        await authorize_key(connection, actor, ())
    scopes = await connection.fetchval(_LOCK, key_id)
    if scopes is None:
        raise LaurelsError(Code.KEY_UNKNOWN, f"There is no key {key_id} in force.")
    await authorize_key(connection, actor, scopes)
