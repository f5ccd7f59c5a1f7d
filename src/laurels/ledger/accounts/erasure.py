"""Export and erase a person's data.

An erased user leaves the boards, cannot log in, and is shown under a pseudonym, also in frozen snapshots.
The rows of the ledger stay, without their metadata: other users' ranks and the archives depend on them.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

import msgspec

from ...domain.authorization import AccountRole, Act
from ...domain.errors import Code, LaurelsError
from ...domain.names import parse_name
from ..authorization import authorize, keep_an_admin, lock_account
from ..db.pool import Connection, Pool, acquire_per_statement
from ..db.replicas import Reads
from ..events import audit
from ..events.audit import Actor
from ..standings.snapshots import NO_FREEZING
from .accounts import subject_digest
from .sanctions import hide
from .sessions import end_all

_EXTERNAL = "SELECT external_issuer, external_subject FROM users WHERE id = $1"
_REFUSE_OLDER = """
INSERT INTO erased_subjects (digest, tokens_not_before) VALUES ($1, clock_timestamp())
ON CONFLICT (digest) DO UPDATE SET tokens_not_before = EXCLUDED.tokens_not_before"""
_ERASE_USER = """
UPDATE users SET username = $2, username_fold = $3, username_skeleton = $4, username_similar = $5, email = NULL,
       password_hash = NULL, external_issuer = NULL, external_subject = NULL, role = 'player', status = 'erased',
       rank = NULL, updated_at = clock_timestamp()
WHERE id = $1"""
AT_ONCE = 5_000
_ERASE_METADATA = """
WITH page AS (
    SELECT id FROM actions WHERE user_id BETWEEN $1 AND $1 AND id > $2 ORDER BY user_id DESC, id LIMIT $3), erased AS (
    UPDATE actions a SET metadata = NULL FROM page WHERE a.id = page.id AND a.metadata IS NOT NULL)
SELECT max(id) FROM page"""
_ERASE_SESSIONS = "DELETE FROM refresh_tokens WHERE user_id = $1"
FROZEN_AT_ONCE = 500
ERASE_FROZEN = f"""
UPDATE scoreboard_snapshots s SET top_scores = (
    SELECT jsonb_agg(CASE WHEN e.one -> 'user_id' = to_jsonb($1::bigint)
                          THEN e.one || jsonb_build_object('username', $2::text) ELSE e.one END ORDER BY e.n)
    FROM jsonb_array_elements(s.top_scores) WITH ORDINALITY e (one, n))
WHERE s.id = ANY (ARRAY(
    SELECT id FROM scoreboard_snapshots
    WHERE top_scores @> jsonb_build_array(jsonb_build_object('user_id', $1::bigint))
      AND NOT top_scores @> jsonb_build_array(jsonb_build_object('user_id', $1::bigint, 'username', $2::text))
    LIMIT {FROZEN_AT_ONCE}))"""

_PERSON = """
SELECT id, username, email, role, external_issuer, external_subject, created_at FROM users WHERE id = $1"""
_COUNTERS = """
SELECT t.name AS action_type, p.total_count, p.day::text AS day, p.day_count, p.last_at, p.streak
FROM user_action_counters p JOIN action_types t ON t.id = p.action_type_id WHERE p.user_id = $1 ORDER BY t.id"""
_SESSIONS = """
SELECT issued_at, expires_at, used_at, revoked_at FROM refresh_tokens
WHERE user_id BETWEEN $1 AND $1 ORDER BY user_id, id DESC LIMIT 1000"""


class PersonalData(msgspec.Struct, frozen=True):
    id: int
    username: str
    email: str | None
    role: str
    external_issuer: str | None
    external_subject: str | None
    created_at: datetime


class Counter(msgspec.Struct, frozen=True):
    """Counts of a user's completions of one action type, as the rules see them."""

    action_type: str
    total_count: int
    day: str
    day_count: int
    last_at: datetime
    streak: int


class KeptSession(msgspec.Struct, frozen=True):
    """A refresh token: when it was issued, used and ended."""

    issued_at: datetime
    expires_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class KeptData:
    """Data kept of a person beside the rows of the ledger; the newest 1,000 sessions."""

    person: PersonalData
    counters: list[Counter]
    sessions: list[KeptSession]


async def kept_of(reads: Reads, user_id: int) -> KeptData:
    """Return a person's data. Raises LaurelsError(USER_UNKNOWN)."""
    person = await reads.fetchrow(_PERSON, user_id)
    if person is None:
        raise _unknown(user_id)
    counters = await reads.fetch(_COUNTERS, user_id)
    sessions = await reads.fetch(_SESSIONS, user_id)
    return KeptData(
        PersonalData(*person.values()),
        [Counter(*row.values()) for row in counters],
        [KeptSession(*row.values()) for row in sessions],
    )


async def erase(pool: Pool, actor: Actor, user_id: int, reason: str | None) -> bool:
    """Erase a user's account as an operator, permanently. Return False if it was erased already.

    O(rows of the user). Raises LaurelsError USER_UNKNOWN, FORBIDDEN or LAST_ADMIN.
    """
    async with acquire_per_statement(pool) as connection, connection.transaction():
        await connection.execute(NO_FREEZING)  # first: requests that wait for the user need not wait for a snapshot too
        return await _erase(connection, actor, await authorize(connection, actor, Act.ERASE, user_id), reason)


async def erase_own(pool: Pool, actor: Actor, user_id: int, reason: str | None) -> bool:
    """Erase the account of the acting person. Raises LaurelsError USER_UNKNOWN or LAST_ADMIN."""
    assert actor.user_id == user_id, "only the holder of an account erases it as their own"
    async with acquire_per_statement(pool) as connection, connection.transaction():
        await connection.execute(NO_FREEZING)
        return await _erase(connection, actor, await lock_account(connection, user_id), reason)


async def _erase(connection: Connection, actor: Actor, account: AccountRole, reason: str | None) -> bool:
    if account.status == "erased":
        return False
    await keep_an_admin(connection, account)
    user_id, pseudonym = account.id, parse_name(f"gone-{secrets.token_hex(8)}")
    issuer, subject = await connection.fetchrow(_EXTERNAL, user_id)
    names = pseudonym.display, pseudonym.fold, pseudonym.skeleton, pseudonym.similar
    await connection.execute(_ERASE_USER, user_id, *names)
    await _erase_metadata(connection, user_id)
    await connection.execute(_ERASE_SESSIONS, user_id)
    while await connection.execute(ERASE_FROZEN, user_id, pseudonym.display) != "UPDATE 0":
        pass
    await hide(connection, user_id, hidden=True)
    await _end_tokens(connection, user_id, issuer, subject)
    await audit.record(connection, actor, "user.erase", f"user:{user_id}", before=account.status, reason=reason)
    return True


async def _end_tokens(connection: Connection, user_id: int, issuer: str | None, subject: str | None) -> None:
    """Keep a digest of the external subject, because an older token of it would open a new account."""
    await end_all(connection, user_id)
    if issuer is not None and subject is not None:
        await connection.execute(_REFUSE_OLDER, subject_digest(issuer, subject))


async def _erase_metadata(connection: Connection, user_id: int) -> None:
    last: int | None = 0
    while last is not None:
        last = await connection.fetchval(_ERASE_METADATA, user_id, last, AT_ONCE)


def _unknown(user_id: int) -> LaurelsError:
    return LaurelsError(Code.USER_UNKNOWN, f"There is no user with id {user_id}.")
