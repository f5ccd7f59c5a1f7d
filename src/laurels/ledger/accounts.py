"""Users, refresh tokens and signing keys, as rows. Hashing and signing happen above."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import asyncpg

from ..domain.errors import Code, LaurelsError
from ..domain.names import Name
from . import audit
from .audit import Actor
from .journal import announce
from .name_guard import NameGuard, check_promotion, exclude_new_names
from .pool import Pool, acquire, prompt

_INSERT_USER = """
INSERT INTO users (username, username_fold, username_skeleton, username_similar, email, password_hash, role)
VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id"""
_OUTSIDER = "SELECT id, username, role, status FROM users WHERE external_issuer = $1 AND external_subject = $2"
_INSERT_OUTSIDER = """
INSERT INTO users (username, username_fold, username_skeleton, username_similar, external_issuer, external_subject)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING id"""
_LOGIN = "SELECT id, username, password_hash, role, status FROM users WHERE username_fold = $1"
_CREDENTIALS = "SELECT username, password_hash FROM users WHERE id = $1"
_BY_ID = "SELECT id, username, role, status FROM users WHERE id = $1"
_FIRST_ADMIN = (
    "SELECT id, username, role, status FROM users WHERE role = 'admin' AND status = 'active' ORDER BY id LIMIT 1"
)
_INSERT_REFRESH = """
INSERT INTO refresh_tokens (user_id, family, token_hash, expires_at)
VALUES ($1, $2, $3, clock_timestamp() + $4)"""
_LOCK_REFRESH = """
SELECT r.id, r.user_id, r.family, r.used_at, r.revoked_at, r.expires_at <= clock_timestamp() AS expired,
       u.username, u.role, u.status
FROM refresh_tokens r JOIN users u ON u.id = r.user_id
WHERE r.token_hash = $1 FOR UPDATE OF r"""
_REVOKE_FAMILY = """
UPDATE refresh_tokens SET revoked_at = clock_timestamp() WHERE family = $1 AND revoked_at IS NULL"""
_TRIM_REFRESH = "DELETE FROM refresh_tokens WHERE expires_at < now() - interval '1 day'"
_KEYS = "SELECT kid, private_jwk, created_at, retired_at FROM signing_keys ORDER BY created_at"


@dataclass(frozen=True, slots=True)
class Account:
    """What a token is issued for."""

    id: int
    username: str
    role: str
    status: str


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An Ed25519 key as JWK JSON text."""

    kid: str
    private_jwk: str
    created_at: datetime
    retired_at: datetime | None


class Accounts:
    """Reads and writes of accounts; every method is one short transaction."""

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
    ) -> Account:
        """Make an account; `by` an operator, it is audited. `allow_similar`: also next to a privileged name.

        Raises LaurelsError USERNAME_TAKEN (also by a look-alike), EMAIL_TAKEN, or NAME_SIMILAR for an operator whom
        others could be taken for.
        """
        async with prompt(self._pool) as connection, connection.transaction():
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
        return Account(user_id, name.display, role, "active")

    async def outsider(self, issuer: str, subject: str, names: Sequence[Name]) -> Account:
        """The account of an outside issuer's subject; at first sight a new one, under the first free name.

        An account that is there already is never handed over, whatever it is called.
        Raises LaurelsError(USERNAME_TAKEN) when all names are taken.
        """
        async with prompt(self._pool) as connection:
            row = await connection.fetchrow(_OUTSIDER, issuer, subject)
            for name in () if row else names:
                async with connection.transaction():
                    if await self._guard.is_free_for_player(connection, name):
                        await connection.execute(_INSERT_OUTSIDER, *_keys(name), issuer, subject)
                # Ours, or that of a node which was faster; none of both: it was the name that was taken.
                row = await connection.fetchrow(_OUTSIDER, issuer, subject)
                if row is not None:
                    break
        if row is None:
            raise _taken(None)
        return _account(row)

    async def for_login(self, fold: str) -> tuple[Account, str | None] | None:
        """The account and its password hash."""
        async with prompt(self._pool) as connection:
            row = await connection.fetchrow(_LOGIN, fold)
        return None if row is None else (_account(row), row["password_hash"])

    async def credentials(self, user_id: int) -> tuple[str, str | None] | None:
        """The name and the password hash, for what its owner must confirm."""
        async with prompt(self._pool) as connection:
            row = await connection.fetchrow(_CREDENTIALS, user_id)
        return None if row is None else (row["username"], row["password_hash"])

    async def by_id(self, user_id: int) -> Account:
        """Raises LaurelsError(USER_UNKNOWN)."""
        async with prompt(self._pool) as connection:
            row = await connection.fetchrow(_BY_ID, user_id)
        if row is None:
            raise LaurelsError(Code.USER_UNKNOWN, f"There is no user with id {user_id}.")
        return _account(row)

    async def first_admin(self) -> Account | None:
        """The oldest active admin."""
        async with prompt(self._pool) as connection:
            row = await connection.fetchrow(_FIRST_ADMIN)
        return None if row is None else _account(row)

    async def any_admin(self) -> bool:
        async with prompt(self._pool) as connection:
            return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM users WHERE role = 'admin')"))

    async def add_refresh(self, user_id: int, token_hash: bytes, lifetime: timedelta) -> None:
        """Start a new family of refresh tokens."""
        async with prompt(self._pool) as connection:
            await connection.execute(_INSERT_REFRESH, user_id, uuid4(), token_hash, lifetime)

    async def rotate_refresh(self, old_hash: bytes, new_hash: bytes, lifetime: timedelta) -> Account | None:
        """Trade an unused refresh token for a new one of its family; None when it is not good.

        A token that is presented twice was stolen on one of the two occasions: its family is revoked.
        """
        async with prompt(self._pool) as connection, connection.transaction():
            row = await connection.fetchrow(_LOCK_REFRESH, old_hash)
            if row is None or row["revoked_at"] is not None or row["expired"]:
                return None
            if row["used_at"] is not None or row["status"] in ("banned", "erased"):
                await connection.execute(_REVOKE_FAMILY, row["family"])
                return None
            await connection.execute("UPDATE refresh_tokens SET used_at = clock_timestamp() WHERE id = $1", row["id"])
            await connection.execute(_INSERT_REFRESH, row["user_id"], row["family"], new_hash, lifetime)
        return Account(row["user_id"], row["username"], row["role"], row["status"])

    async def revoke_refresh(self, token_hash: bytes) -> None:
        """Log out: the whole family ends. Unknown tokens are no error."""
        async with prompt(self._pool) as connection:
            family = await connection.fetchval("SELECT family FROM refresh_tokens WHERE token_hash = $1", token_hash)
            if family is not None:
                await connection.execute(_REVOKE_FAMILY, family)

    async def trim_refresh(self) -> None:
        async with acquire(self._pool) as connection:
            await connection.execute(_TRIM_REFRESH)

    async def signing_keys(self) -> Sequence[SigningKey]:
        """Oldest first, retired ones included."""
        async with prompt(self._pool) as connection:
            rows = await connection.fetch(_KEYS)
        return [SigningKey(*row.values()) for row in rows]

    async def rotate_signing_key(self, kid: str, private_jwk: str) -> None:
        """The new key signs from now on; older ones verify until they are dropped a day later."""
        async with prompt(self._pool) as connection, connection.transaction():
            await connection.execute("DELETE FROM signing_keys WHERE retired_at < now() - interval '1 day'")
            await connection.execute("UPDATE signing_keys SET retired_at = now() WHERE retired_at IS NULL")
            await connection.execute(
                "INSERT INTO signing_keys (kid, private_jwk) VALUES ($1, $2::jsonb)", kid, private_jwk
            )
            await announce(connection, self._node, "catalogue", [])


def _keys(name: Name) -> tuple[str, str, str, str]:
    return name.display, name.fold, name.skeleton, name.similar


def _account(row: asyncpg.Record) -> Account:
    return Account(row["id"], row["username"], row["role"], row["status"])


def _taken(constraint: str | None) -> LaurelsError:
    if constraint == "users_email":
        return LaurelsError(Code.EMAIL_TAKEN, "This e-mail address has an account.", path="$.email")
    return LaurelsError(
        Code.USERNAME_TAKEN,
        "This name, or one that looks like it, is taken. Choose another.",
        path="$.username",
    )
