"""Log-ins: a family of refresh tokens each, of which one is valid at a time; and how they end.

A log-in ends alone (`end`, or a refresh token that was used twice), or with all others of its user (`end_all`).
Every node learns of it through the journal and refuses the access tokens that belong to it: see `revocations`.

A refresh token presented again within GRACE gets the successor issued for it: its reply was lost, or an edge sent the
request twice. The successor is stored masked with the old token, of which the ledger holds only a hash, so a reader
of the ledger cannot use it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from uuid import UUID, uuid4

import asyncpg

from ..db.pool import Connection, Pool, acquire, acquire_within
from ..events import audit
from ..events.audit import Actor
from ..events.journal import EVERY_NODE, announce
from .accounts import AccountRecord

GRACE = timedelta(seconds=20)
"""Clients give up on a reply after 10 seconds and send the request once more. A longer time would help a thief."""
MAX_ENDED = 64
"""Log-ins of a user that ended while their access token lives. Ending more ends all: it bounds nodes' memory."""
ACCESS_SLACK = timedelta(minutes=1)
"""Nodes issue tokens by their own clocks, the ledger records their end by its own."""
_PURPOSE = b"laurels refresh successor v1"
_BYTES = 32

_START = """
INSERT INTO refresh_tokens (user_id, family, token_hash, generation, expires_at, access_until)
SELECT id, $2, $3, $4, clock_timestamp() + $5, clock_timestamp() + $6 FROM users
WHERE id = $1 AND token_generation = $4 AND status <> 'erased'"""
_FAMILY = "SELECT user_id, family FROM refresh_tokens WHERE token_hash = $1"
_LOCK_FAMILY = "SELECT pg_advisory_xact_lock(hashtextextended($1::uuid::text, 5498133))"
_READ = """
SELECT r.id, r.user_id, r.family, r.successor, r.used_at IS NOT NULL AS used,
       r.used_at > clock_timestamp() - $2::interval AS again,
       r.revoked_at IS NOT NULL OR r.expires_at <= clock_timestamp() OR r.generation <> u.token_generation AS ended,
       u.username, u.role, u.status, u.token_generation
FROM refresh_tokens r
CROSS JOIN LATERAL (SELECT * FROM users WHERE id = r.user_id LIMIT 1) u  -- a join may read them from the first on
WHERE r.token_hash = $1"""
_USE = "UPDATE refresh_tokens SET used_at = clock_timestamp(), successor = $2 WHERE id = $1"
_IS_UNUSED = "SELECT used_at IS NULL AND revoked_at IS NULL FROM refresh_tokens WHERE token_hash = $1"
_PROLONG = "UPDATE refresh_tokens SET access_until = clock_timestamp() + $2 WHERE id = $1"
_REVOKE = """
UPDATE refresh_tokens SET revoked_at = clock_timestamp(), successor = NULL
WHERE id = ANY (ARRAY(SELECT id FROM refresh_tokens WHERE {} AND revoked_at IS NULL ORDER BY id FOR UPDATE))"""
_REVOKE_FAMILY = _REVOKE.format("family = $1")
# BETWEEN: with `=` a plan for any user reads the whole table where few users have nearly all tokens.
_REVOKE_USER = _REVOKE.format("user_id BETWEEN $1 AND $1")
# Includes the log-in $2, whether or not it has ended yet. The remaining time is written as a difference, so that the
# user's own tokens are looked up, not the ended ones of all users.
_COUNT_ENDED = """
SELECT count(*) FROM (
    SELECT family FROM refresh_tokens
    WHERE user_id BETWEEN $1 AND $1 AND revoked_at IS NOT NULL AND access_until - now() > interval '0'
      AND generation = (SELECT token_generation FROM users WHERE id = $1)
    UNION
    SELECT family FROM refresh_tokens
    WHERE family = $2 AND access_until - now() > interval '0'
      AND generation = (SELECT token_generation FROM users WHERE id = $1)) ended"""
_LOCK_USER = "SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE"
_NEXT_GENERATION = """
UPDATE users SET token_generation = token_generation + 1, tokens_not_before = clock_timestamp(),
       updated_at = clock_timestamp() WHERE id = $1 RETURNING token_generation"""
_TRIM = """
DELETE FROM refresh_tokens WHERE id = ANY (ARRAY(
    SELECT id FROM refresh_tokens WHERE expires_at < now() - interval '1 day' ORDER BY expires_at LIMIT $1))"""
_FORGET_SUCCESSORS = """
UPDATE refresh_tokens SET successor = NULL WHERE id = ANY (ARRAY(
    SELECT id FROM refresh_tokens WHERE successor IS NOT NULL AND used_at < now() - $1::interval
    ORDER BY used_at LIMIT $2))"""


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Lifetimes of the tokens that are issued."""

    refresh: timedelta
    access: timedelta


@dataclass(frozen=True, slots=True)
class LoginSession:
    """One log-in with the refresh token that continues it. Its access tokens carry `id` as `sid`."""

    id: UUID
    account: AccountRecord
    refresh_token: str


class NotGood(Enum):
    """Why a refresh token gets no successor: it was not valid, or it was reused and has just ended its log-in."""

    UNKNOWN = auto()
    LOGIN_ENDED = auto()


class Sessions:
    """Start, continue and end log-ins; every method is one short transaction."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def start(
        self, account: AccountRecord, life: Lifetimes, login: Actor | None = None, address: str = ""
    ) -> LoginSession | None:
        """Open a log-in, audited if `login` names the actor.

        Returns None if the account's tokens were ended after `account` was read: its password may no longer hold.
        """
        session, token = uuid4(), secrets.token_urlsafe(_BYTES)
        async with acquire_within(self._pool) as connection, connection.transaction():
            if not await _insert(connection, account, session, token, life):
                return None
            if login is not None:
                subject = f"user:{account.id}"
                await audit.record(connection, login, "login.succeeded", subject, after={"address": address})
        return LoginSession(session, account, token)

    async def rotate(self, presented: str, life: Lifetimes) -> LoginSession | NotGood:
        """Exchange a refresh token for the next of its log-in.

        A token presented again after GRACE, or after its successor was used, has two holders, one of whom stole it: the
        log-in ends for both.
        """
        async with acquire_within(self._pool) as connection, connection.transaction():
            found = await connection.fetchrow(_FAMILY, digest(presented))
            if found is None:
                return NotGood.UNKNOWN
            await connection.execute(_LOCK_FAMILY, found["family"])
            row = await connection.fetchrow(_READ, digest(presented), GRACE)
            if row is None or row["ended"]:
                return NotGood.UNKNOWN
            continued = None
            if row["status"] not in ("banned", "erased"):
                continued = await (_repeat if row["used"] else _advance)(connection, row, presented, life)
            if continued is None and await _end(connection, row["user_id"], row["family"]):
                return NotGood.LOGIN_ENDED
        return continued or NotGood.UNKNOWN

    async def end(self, refresh_token: str) -> bool:
        """Log out. Return False if there was nothing to end."""
        async with acquire_within(self._pool) as connection, connection.transaction():
            found = await connection.fetchrow(_FAMILY, digest(refresh_token))
            if found is None:
                return False
            await connection.execute(_LOCK_FAMILY, found["family"])
            return await _end(connection, found["user_id"], found["family"])

    async def end_all(self, user_id: int, actor: Actor, reason: str | None = None) -> None:
        """Log out everywhere: every older token of the user ends."""
        async with acquire_within(self._pool) as connection, connection.transaction():
            await end_all(connection, user_id)
            await audit.record(connection, actor, "user.logout", f"user:{user_id}", reason=reason)

    async def trim(self, limit: int = 100_000) -> None:
        """Delete up to `limit` expired refresh tokens, and as many successors that can no longer be requested."""
        async with acquire(self._pool) as connection:
            await connection.execute(_TRIM, limit)
            await connection.execute(_FORGET_SUCCESSORS, 3 * GRACE, limit)


async def end_all(connection: Connection, user_id: int) -> int:
    """End every older token of a user, ours and those of external issuers, inside the caller's transaction.

    Returns the generation of tokens from now on.
    """
    generation = int(await connection.fetchval(_NEXT_GENERATION, user_id))
    await connection.execute(_REVOKE_USER, user_id)
    await announce(connection, EVERY_NODE, "sessions", [user_id])
    return generation


def digest(refresh_token: str) -> bytes:
    """Return a refresh token's digest. A plain hash suffices: the token is 256 random bits, which cannot be guessed."""
    return hashlib.sha256(refresh_token.encode("utf-8", "surrogatepass")).digest()


async def _insert(connection: Connection, account: AccountRecord, session: UUID, token: str, life: Lifetimes) -> bool:
    access = life.access + ACCESS_SLACK
    arguments = (account.id, session, digest(token), account.generation, life.refresh, access)
    return str(await connection.execute(_START, *arguments)) == "INSERT 0 1"


async def _advance(connection: Connection, row: asyncpg.Record, presented: str, life: Lifetimes) -> LoginSession | None:
    token, account = secrets.token_urlsafe(_BYTES), _account(row)
    await connection.execute(_USE, row["id"], _masked(token.encode(), presented))
    if not await _insert(connection, account, row["family"], token, life):
        return None
    return LoginSession(row["family"], account, token)


async def _repeat(connection: Connection, row: asyncpg.Record, presented: str, life: Lifetimes) -> LoginSession | None:
    if not row["again"] or row["successor"] is None:
        return None
    token = _masked(row["successor"], presented).decode()
    if not await connection.fetchval(_IS_UNUSED, digest(token)):
        return None
    await connection.execute(_PROLONG, row["id"], life.access + ACCESS_SLACK)
    return LoginSession(row["family"], _account(row), token)


async def _end(connection: Connection, user_id: int, family: UUID) -> bool:
    """End one log-in, or all of the user where more than MAX_ENDED ended recently. Return False if it had ended."""
    too_many = await connection.fetchval(_COUNT_ENDED, user_id, family) > MAX_ENDED
    if too_many:
        await connection.execute(_LOCK_USER, user_id)  # before any token, as in end_all: else they deadlock
    if await connection.execute(_REVOKE_FAMILY, family) == "UPDATE 0":
        return False
    if too_many:
        await end_all(connection, user_id)
    else:
        await announce(connection, EVERY_NODE, "sessions", [user_id])
    return True


def _masked(text: bytes, token: str) -> bytes:
    """XOR with a key stream that only the holder of `token` can compute; applying it again removes it."""
    key = token.encode("utf-8", "surrogatepass")
    stream = b"".join(hmac.digest(key, _PURPOSE + bytes([block]), "sha256") for block in range(len(text) // 32 + 1))
    return bytes(a ^ b for a, b in zip(text, stream, strict=False))


def _account(row: asyncpg.Record) -> AccountRecord:
    return AccountRecord(row["user_id"], row["username"], row["role"], row["status"], row["token_generation"])
