"""Accounts as operators list and change them."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from ..domain.email import check_email
from ..domain.errors import Code, LaurelsError
from ..domain.names import parse_name
from ..domain.standings import INT64_MAX, INT64_MIN
from ..ledger.accounts import sanctions
from ..ledger.accounts.accounts import AccountRecord
from ..ledger.accounts.sanctions import Sanction
from ..ledger.accounts.user_editor import EditedUser, UserFilter
from ..ledger.db.paging import Page
from ..ledger.events.audit import Actor
from .admin_context import AdminContext

Role = Literal["player", "moderator", "admin"]
AccountStatus = Literal["active", "shadowed", "banned", "erased"]
Sort = Literal["newest", "name", "score"]
HashPassword = Callable[[str], Awaitable[str]]
ANY_SCORE = (INT64_MIN, INT64_MAX)
PASSWORD_BYTES = 12
"""Entropy of a generated password: 96 bits, 16 characters."""

_SANCTIONS = {"active": sanctions.lift, "shadowed": sanctions.shadow, "banned": sanctions.ban}


@dataclass(frozen=True, slots=True)
class UserSearch:
    """Which users, and in what order: newest first, by name, or best first on the default board.

    `scores`: the least and the greatest score, both inclusive; only with `sort` "score".
    """

    filter: UserFilter
    sort: Sort = "newest"
    scores: tuple[int, int] = ANY_SCORE


async def list_users(context: AdminContext, search: UserSearch, cursor: str | None, limit: int) -> Page[EditedUser]:
    """Return a page of users. Raises LaurelsError(INVALID_REQUEST) for scores without `sort` "score"."""
    if search.sort == "score":
        window = await context.catalogue.window(context.catalogue.default_board)
        return await context.users.by_score(window, search.filter, search.scores, cursor, limit)
    if search.scores != ANY_SCORE:
        raise LaurelsError(Code.INVALID_REQUEST, "min_score and max_score go with sort=score.", path="$.sort")
    find = context.users.by_name if search.sort == "name" else context.users.newest
    return await find(search.filter, cursor, limit)


async def find_user(context: AdminContext, username: str) -> int:
    """Return the id of a user, banned and shadowed ones included. Raises LaurelsError(USER_UNKNOWN)."""
    return await context.directory.find_any(username)


async def get_user(context: AdminContext, user_id: int) -> EditedUser:
    """Return a user. Raises LaurelsError(USER_UNKNOWN)."""
    return await context.users.get(user_id)


async def create_user(
    context: AdminContext,
    hash_password: HashPassword,
    username: str,
    email: str | None,
    role: Role,
    actor: Actor,
    *,
    allow_similar: bool = False,
) -> tuple[AccountRecord, str]:
    """Create an account; return it with its generated password.

    `allow_similar`: also when an operator's or a reserved name is similar. Raises LaurelsError USERNAME_INVALID,
    USERNAME_TAKEN, NAME_SIMILAR or INVALID_REQUEST.
    """
    name = parse_name(username)
    if email is not None:
        check_email(email)
    password = new_password()
    hashed = await hash_password(password)
    account = await context.accounts.create(name, email, hashed, role, actor, allow_similar=allow_similar)
    return account, password


async def set_status(context: AdminContext, user_id: int, status: Sanction, actor: Actor, reason: str | None) -> bool:
    """Ban or shadow a user, or lift either; return whether that changed anything.

    Raises LaurelsError USER_UNKNOWN, FORBIDDEN or LAST_ADMIN.
    """
    return await _SANCTIONS[status](context.pool, actor, user_id, reason)


async def set_role(
    context: AdminContext, user_id: int, role: Role, actor: Actor, reason: str | None, *, allow_similar: bool = False
) -> EditedUser:
    """Change a user's role. Raises LaurelsError USER_UNKNOWN, FORBIDDEN, LAST_ADMIN or NAME_SIMILAR."""
    return await context.users.set_role(user_id, role, actor, reason, allow_similar=allow_similar)


async def reset_password(
    context: AdminContext, hash_password: HashPassword, user_id: int, actor: Actor, reason: str | None
) -> str:
    """Set a generated password and return it; every older token of the user is refused from then on.

    Raises LaurelsError USER_UNKNOWN or FORBIDDEN.
    """
    password = new_password()
    await context.users.set_password(user_id, await hash_password(password), actor, reason)
    return password


async def end_sessions(context: AdminContext, user_id: int, actor: Actor, reason: str | None) -> None:
    """Log a user out everywhere: every token issued so far ends, and so do live sockets."""
    await context.sessions.end_all(user_id, actor, reason)


def new_password() -> str:
    """Return a random password."""
    return secrets.token_urlsafe(PASSWORD_BYTES)
