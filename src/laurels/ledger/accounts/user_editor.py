"""Users as operators list and change them. Bans, adjustments and reversals have modules of their own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from ...domain.authorization import Act
from ...domain.boards import Window
from ...domain.errors import Code, LaurelsError
from ...domain.names import fold_name
from ...domain.standings import from_micros, micros, sort_score
from ..authorization import authorize, keep_an_admin
from ..db.paging import Page, keys_of, no_cursor, page
from ..db.pool import Connection, Pool, acquire_within
from ..events import audit
from ..events.audit import Actor
from ..events.journal import announce
from .name_guard import check_promotion
from .sessions import end_all

_COLUMNS = "u.id, u.username, u.email, u.role, u.status, u.current_score, u.created_at, u.updated_at"
_FITS = """
($1::text IS NULL OR u.username_fold COLLATE "C" >= $1) AND ($1::text IS NULL OR u.username_fold COLLATE "C" < $2)
  AND ($3::text IS NULL OR u.status = $3) AND ($4::text IS NULL OR u.role = $4)"""
BY_ID = f"""
SELECT {_COLUMNS} FROM users u
WHERE {_FITS} AND ($5::bigint IS NULL OR u.id < $5) ORDER BY u.id DESC LIMIT $6"""
BY_NAME = f"""
SELECT {_COLUMNS} FROM users u
WHERE {_FITS} AND ($5::text IS NULL OR u.username_fold COLLATE "C" > $5)
ORDER BY u.username_fold COLLATE "C" LIMIT $6"""
BY_SCORE = f"""
SELECT {_COLUMNS}, s.sort_score, s.reached_at FROM standings s JOIN users u ON u.id = s.user_id
WHERE s.window_id = $7 AND NOT s.hidden AND {_FITS}
  AND ($5::bigint IS NULL OR (s.sort_score, s.reached_at, s.user_id) > ($5::bigint, $8::timestamptz, $9::bigint))
  AND s.sort_score BETWEEN $10 AND $11
ORDER BY s.sort_score, s.reached_at, s.user_id LIMIT $6"""
_USER = f"SELECT {_COLUMNS} FROM users u WHERE u.id = $1"
_SET_ROLE = "UPDATE users SET role = $2, updated_at = clock_timestamp() WHERE id = $1"
_SET_PASSWORD = "UPDATE users SET password_hash = $2, updated_at = clock_timestamp() WHERE id = $1"  # noqa: S105
_REPLACE_PASSWORD = f"{_SET_PASSWORD} AND password_hash = $3"
_LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class EditedUser:
    """`current_score` is that of the default board."""

    id: int
    username: str
    email: str | None
    role: str
    status: str
    current_score: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Filters of a list of users; all that are given must match. `prefix` of the name, whatever its case."""

    prefix: str | None = None
    status: str | None = None
    role: str | None = None

    def arguments(self) -> tuple[str | None, ...]:
        if self.prefix is None:
            return None, None, self.status, self.role
        first = fold_name(self.prefix)
        return first, first + _LAST, self.status, self.role


class UserEditor:
    """List and change users; every method is one short transaction."""

    def __init__(self, pool: Pool, node: UUID) -> None:
        self._pool = pool
        self._node = node

    async def newest(self, wanted: UserFilter, cursor: str | None, limit: int) -> Page[EditedUser]:
        keys = keys_of(cursor, int)
        async with acquire_within(self._pool) as connection:
            rows = await connection.fetch(BY_ID, *wanted.arguments(), *keys, limit + 1)
        return page([EditedUser(*row.values()) for row in rows], limit, lambda user: (user.id,))

    async def by_name(self, wanted: UserFilter, cursor: str | None, limit: int) -> Page[EditedUser]:
        keys = keys_of(cursor, str)
        async with acquire_within(self._pool) as connection:
            rows = await connection.fetch(BY_NAME, *wanted.arguments(), *keys, limit + 1)
        return page([EditedUser(*row.values()) for row in rows], limit, lambda user: (fold_name(user.username),))

    async def by_score(
        self, window: Window, wanted: UserFilter, scores: tuple[int, int], cursor: str | None, limit: int
    ) -> Page[EditedUser]:
        """List users on the board in `window`, best first, with a score between the two, both inclusive."""
        best, reached_at, user_id = keys_of(cursor, int, int, int)
        behind = None if reached_at is None else _instant(reached_at)
        between = sorted(sort_score(score, window.board.order) for score in scores)
        async with acquire_within(self._pool) as connection:
            rows = await connection.fetch(
                BY_SCORE, *wanted.arguments(), best, limit + 1, window.id, behind, user_id, *between
            )
        ranked = [(EditedUser(*list(row.values())[:-2]), row["sort_score"], micros(row["reached_at"])) for row in rows]
        found = page(ranked, limit, lambda item: (item[1], item[2], item[0].id))
        return Page([user for user, *_ in found.rows], found.next)

    async def get(self, user_id: int) -> EditedUser:
        """Return a user. Raises LaurelsError(USER_UNKNOWN)."""
        async with acquire_within(self._pool) as connection:
            return await _user(connection, user_id)

    async def set_role(
        self, user_id: int, role: str, actor: Actor, reason: str | None = None, *, allow_similar: bool = False
    ) -> EditedUser:
        """Change a role.

        Raises LaurelsError USER_UNKNOWN, FORBIDDEN, LAST_ADMIN, or NAME_SIMILAR unless `allow_similar`.
        """
        async with acquire_within(self._pool) as connection, connection.transaction():
            target = await authorize(connection, actor, Act.SET_ROLE, user_id)
            before = await _user(connection, user_id)
            if before.role == role:
                return before
            await keep_an_admin(connection, target)
            if before.role == "player" and not allow_similar:
                await check_promotion(connection, user_id)
            await connection.execute(_SET_ROLE, user_id, role)
            await audit.record(
                connection,
                actor,
                "user.role",
                f"user:{user_id}",
                before={"role": before.role},
                after={"role": role},
                reason=reason,
            )
            await announce(connection, self._node, "users", [user_id])
            return await _user(connection, user_id)

    async def set_password(self, user_id: int, password_hash: str, actor: Actor, reason: str | None = None) -> None:
        """Set a password, and end every older token of the user. Raises LaurelsError USER_UNKNOWN or FORBIDDEN."""
        async with acquire_within(self._pool) as connection, connection.transaction():
            await authorize(connection, actor, Act.RESET_PASSWORD, user_id)
            await _user(connection, user_id)
            await connection.execute(_SET_PASSWORD, user_id, password_hash)
            await end_all(connection, user_id)
            await audit.record(connection, actor, "user.password", f"user:{user_id}", reason=reason)

    async def change_password(self, user_id: int, old_hash: str, password_hash: str, actor: Actor) -> int | None:
        """Set a password if `old_hash` is still in force, and end every older token of the user.

        Returns the generation of tokens from now on; None if the password was changed meanwhile.
        """
        async with acquire_within(self._pool) as connection, connection.transaction():
            if await connection.execute(_REPLACE_PASSWORD, user_id, password_hash, old_hash) == "UPDATE 0":
                return None
            await audit.record(connection, actor, "user.password", f"user:{user_id}")
            return await end_all(connection, user_id)


async def _user(connection: Connection, user_id: int) -> EditedUser:
    row: asyncpg.Record | None = await connection.fetchrow(_USER, user_id)
    if row is None or row["status"] == "erased":
        raise LaurelsError(Code.USER_UNKNOWN, f"There is no user with id {user_id}.")
    return EditedUser(*row.values())


def _instant(reached_at: int) -> datetime:
    try:
        return from_micros(reached_at)
    except OverflowError as error:
        raise no_cursor() from error
