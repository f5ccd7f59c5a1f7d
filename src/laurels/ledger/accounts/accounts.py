"""Users and signing keys, as rows. Hashing and signing happen in the layers above."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from ...domain.errors import Code, LaurelsError
from ...domain.names import Name
from ..db.pool import Pool, acquire_within
from ..events import audit
from ..events.audit import Actor
from ..events.journal import announce
from .name_guard import NameGuard, check_promotion, exclude_new_names

_INSERT_USER = """
INSERT INTO users (username, username_fold, username_skeleton, username_similar, email, password_hash, role)
VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id"""
_COLUMNS = "id, username, role, status, token_generation"
_OUTSIDER = f"""
SELECT {_COLUMNS}, extract(epoch FROM tokens_not_before)::float8 AS not_before FROM users
WHERE external_issuer = $1 AND external_subject = $2"""
_INSERT_OUTSIDER = """
INSERT INTO users (username, username_fold, username_skeleton, username_similar, external_issuer, external_subject)
SELECT $1, $2, $3, $4, $5, $6 WHERE NOT EXISTS (
    SELECT FROM erased_subjects WHERE digest = $7 AND floor(extract(epoch FROM tokens_not_before)) >= $8)
ON CONFLICT DO NOTHING"""
_IS_ERASED = """
SELECT EXISTS (SELECT FROM erased_subjects
               WHERE digest = $1 AND floor(extract(epoch FROM tokens_not_before)) >= $2)"""
_LOGIN = f"SELECT {_COLUMNS}, password_hash FROM users WHERE username_fold = $1"
_CREDENTIALS = f"SELECT {_COLUMNS}, password_hash FROM users WHERE id = $1"
_BY_ID = f"SELECT {_COLUMNS} FROM users WHERE id = $1"
_FIRST_ADMIN = f"SELECT {_COLUMNS} FROM users WHERE role = 'admin' AND status = 'active' ORDER BY id LIMIT 1"
ANY_ADMIN = "SELECT EXISTS (SELECT FROM users WHERE role = 'admin')"
ANY_ADMIN_WITH_LOGIN = """
SELECT EXISTS (SELECT FROM users WHERE role = 'admin' AND status = 'active'
               AND (password_hash IS NOT NULL OR external_issuer IS NOT NULL))"""
_KEYS = "SELECT kid, private_jwk, created_at, retired_at FROM signing_keys ORDER BY created_at"


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """The account that a token is issued for."""

    id: int
    username: str
    role: str
    status: str
    generation: int = 0
    """Generation of the account's tokens; grows when all of them are ended."""


@dataclass(frozen=True, slots=True)
class ExternalAccount:
    """The account of an external issuer's subject. `not_before`: tokens issued in this second or earlier have ended."""

    account: AccountRecord
    not_before: float | None

    def ends(self, issued_at: int) -> bool:
        """Return whether a token issued in this second (-1: unknown) has ended."""
        return self.not_before is not None and issued_at <= math.floor(self.not_before)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An Ed25519 key as JWK JSON text."""

    kid: str
    private_jwk: str
    created_at: datetime
    retired_at: datetime | None


class Accounts:
    """Read and write accounts; every method is one short transaction."""

    def __init__(self, pool: Pool, node: UUID, guard: NameGuard = NameGuard()) -> None:  # noqa: B008  it is frozen
        self._pool = pool
        self._node = node
        self._guard = guard

    async def create(
        self,
        name: Name,
        email: str | None,
        password_hash: str,
        role: str = "player",
        by: Actor | None = None,
        *,
        allow_similar: bool = False,
    ) -> AccountRecord:
        """Create an account; audited when `by` is an operator. `allow_similar`: also next to a privileged name.

        Raises LaurelsError USERNAME_TAKEN (also by a look-alike), EMAIL_TAKEN, or NAME_SIMILAR for an operator
        whose name is similar to those of others.
        """
        async with acquire_within(self._pool) as connection, connection.transaction():
            if role == "player" and not allow_similar and not await self._guard.is_free_for_player(connection, name):
                raise _taken(None)
            if role != "player" and not allow_similar:
                await exclude_new_names(connection)
            try:
                user_id = await connection.fetchval(_INSERT_USER, *_keys(name), email, password_hash, role)
            except asyncpg.UniqueViolationError as error:
                raise _taken(error.constraint_name) from error
            if role != "player" and not allow_similar:
                await check_promotion(connection, user_id)
            if by is not None:
                await audit.record(connection, by, "user.create", f"user:{user_id}", after={"role": role})
        return AccountRecord(user_id, name.display, role, "active")

    async def external_account(self, issuer: str, subject: str) -> ExternalAccount | None:
        """Return the account of an external issuer's subject; None if it has none."""
        async with acquire_within(self._pool) as connection:
            row = await connection.fetchrow(_OUTSIDER, issuer, subject)
        return None if row is None else ExternalAccount(_account(row), row["not_before"])

    async def open_external_account(
        self, issuer: str, subject: str, issued_at: int, names: Sequence[Name]
    ) -> ExternalAccount | None:
        """Open an account for an external issuer's subject, under the first free name, and return it.

        An existing account is never handed over, whatever its name. Returns None if the subject was erased after its
        token was issued. Raises LaurelsError(USERNAME_TAKEN) when all names are taken.
        """
        digest = subject_digest(issuer, subject)
        async with acquire_within(self._pool) as connection:
            for name in names:
                async with connection.transaction():
                    if await self._guard.is_free_for_player(connection, name):
                        await connection.execute(_INSERT_OUTSIDER, *_keys(name), issuer, subject, digest, issued_at)
                # This call's row, or that of a faster node. Neither: the name is taken, or the subject was erased.
                row = await connection.fetchrow(_OUTSIDER, issuer, subject)
                if row is not None:
                    return ExternalAccount(_account(row), row["not_before"])
            if await connection.fetchval(_IS_ERASED, digest, issued_at):
                return None
        raise _taken(None)

    async def for_login(self, fold: str) -> tuple[AccountRecord, str | None] | None:
        """Return the account and its password hash, for a log-in."""
        async with acquire_within(self._pool) as connection:
            row = await connection.fetchrow(_LOGIN, fold)
        return None if row is None else (_account(row), row["password_hash"])

    async def credentials(self, user_id: int) -> tuple[AccountRecord, str | None] | None:
        """Return the account and its password hash, to confirm an action of its owner."""
        async with acquire_within(self._pool) as connection:
            row = await connection.fetchrow(_CREDENTIALS, user_id)
        return None if row is None else (_account(row), row["password_hash"])

    async def by_id(self, user_id: int) -> AccountRecord:
        """Return an account. Raises LaurelsError(USER_UNKNOWN)."""
        async with acquire_within(self._pool) as connection:
            row = await connection.fetchrow(_BY_ID, user_id)
        if row is None:
            raise LaurelsError(Code.USER_UNKNOWN, f"There is no user with id {user_id}.")
        return _account(row)

    async def first_admin(self) -> AccountRecord | None:
        """Return the oldest active admin."""
        async with acquire_within(self._pool) as connection:
            row = await connection.fetchrow(_FIRST_ADMIN)
        return None if row is None else _account(row)

    async def any_admin(self) -> bool:
        async with acquire_within(self._pool) as connection:
            return bool(await connection.fetchval(ANY_ADMIN))

    async def any_admin_can_log_in(self) -> bool:
        """Return whether an active admin has a password or comes from an external issuer."""
        async with acquire_within(self._pool) as connection:
            return bool(await connection.fetchval(ANY_ADMIN_WITH_LOGIN))

    async def signing_keys(self) -> Sequence[SigningKey]:
        """Return all signing keys, oldest first, retired ones included."""
        async with acquire_within(self._pool) as connection:
            rows = await connection.fetch(_KEYS)
        return [SigningKey(*row.values()) for row in rows]

    async def rotate_signing_key(self, kid: str, private_jwk: str) -> None:
        """Sign with the new key from now on; older ones verify until they are dropped a day later."""
        async with acquire_within(self._pool) as connection, connection.transaction():
            await connection.execute("DELETE FROM signing_keys WHERE retired_at < now() - interval '1 day'")
            await connection.execute("UPDATE signing_keys SET retired_at = now() WHERE retired_at IS NULL")
            await connection.execute(
                "INSERT INTO signing_keys (kid, private_jwk) VALUES ($1, $2::jsonb)", kid, private_jwk
            )
            await announce(connection, self._node, "catalogue", [])


def _keys(name: Name) -> tuple[str, str, str, str]:
    return name.display, name.fold, name.skeleton, name.similar


def subject_digest(issuer: str, subject: str) -> bytes:
    """Return what is kept of an external identity after its erasure."""
    return hashlib.sha256(f"{issuer}\0{subject}".encode()).digest()


def _account(row: asyncpg.Record) -> AccountRecord:
    return AccountRecord(row["id"], row["username"], row["role"], row["status"], row["token_generation"])


def _taken(constraint: str | None) -> LaurelsError:
    if constraint == "users_email":
        return LaurelsError(Code.EMAIL_TAKEN, "This e-mail address has an account.", path="$.email")
    return LaurelsError(
        Code.USERNAME_TAKEN,
        "This name, or one that looks like it, is taken. Choose another.",
        path="$.username",
    )
