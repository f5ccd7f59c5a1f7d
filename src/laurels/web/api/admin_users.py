"""Users, as operators find and change them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ...app import users
from ...app.admin_context import AdminContext
from ...app.boards import PlaceOnBoard, read_places, view_of
from ...app.context import BoardContext
from ...app.users import AccountStatus, Role, Sort
from ...domain.errors import Code
from ...domain.standings import INT64_MAX, INT64_MIN
from ...ledger.accounts.user_editor import EditedUser, UserFilter
from ..auth.keyring import ApiKey
from ..auth.passwords import Passwords
from ..fields import NO_CONTROLS, ListQuery, Reason, Request, UserQuery, given
from ..pipeline.call import Call
from ..pipeline.route import Route
from .codes import LEDGER_AWAY, RANKS_AWAY

Score = Annotated[int, Meta(ge=INT64_MIN, le=INT64_MAX)]


class AdminUser(msgspec.Struct, frozen=True):
    """`score` is that of the default board. Only admins see `email`."""

    id: int
    username: str
    email: str | None
    role: str
    status: str
    score: int
    created_at: datetime
    updated_at: datetime


class AdminUsers(msgspec.Struct, frozen=True):
    users: list[AdminUser]
    next: str | None


class UserDetails(msgspec.Struct, frozen=True):
    """`places` has one entry per board. A user who is hidden from boards has no rank."""

    user: AdminUser
    places: list[PlaceOnBoard]


class SetRole(Request, frozen=True):
    """`allow_similar`: also if another user's name could be mistaken for the new operator's."""

    role: Role
    reason: Reason | None = None
    allow_similar: bool = False


class ResetPassword(Request, frozen=True):
    reason: Reason | None = None


class FreshPassword(msgspec.Struct, frozen=True):
    """The password is shown once. Every session of the user has ended."""

    password: str


class UsersQuery(ListQuery, frozen=True):
    """All given filters must match. `sort=score`: users on the default board; only it takes min_score, max_score."""

    sort: Sort = "newest"
    prefix: (
        Annotated[
            str,
            Meta(
                min_length=1, max_length=32, pattern=NO_CONTROLS, description="Beginning of the name, case-insensitive"
            ),
        ]
        | None
    ) = None
    status: AccountStatus | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    min_score: Score = INT64_MIN
    max_score: Score = INT64_MAX


async def list_users(context: AdminContext, call: Call) -> AdminUsers:
    """Return a page of users."""
    sent: UsersQuery = call.params
    wanted = UserFilter(sent.prefix, given(sent.status), given(sent.role))
    search = users.UserSearch(wanted, sent.sort, (sent.min_score, sent.max_score))
    found = await users.list_users(context, search, sent.cursor, sent.limit)
    shows_email = await _may_see_addresses(context, call)
    return AdminUsers([_admin_user(user, shows_email) for user in found.rows], found.next)


async def get_user(context: AdminContext, boards: BoardContext, call: Call) -> UserDetails:
    """Return a user with their place on every board."""
    user = await users.get_user(context, call.params.user_id)
    places = await read_places(boards, user.id, user.username, view_of(boards, call.user_id))
    return UserDetails(_admin_user(user, await _may_see_addresses(context, call)), places)


async def set_user_role(context: AdminContext, call: Call) -> AdminUser:
    """Change a user's role."""
    body = call.body
    user = await users.set_role(
        context, call.params.user_id, body.role, call.actor, body.reason, allow_similar=body.allow_similar
    )
    return _admin_user(user, shows_email=True)


async def reset_user_password(context: AdminContext, passwords: Passwords, call: Call) -> FreshPassword:
    """Set a generated password, and end every older token of the user."""
    password = await users.reset_password(context, passwords.hash, call.params.user_id, call.actor, call.body.reason)
    return FreshPassword(password)


async def _may_see_addresses(context: AdminContext, call: Call) -> bool:
    """Return whether the caller sees e-mail addresses: moderators judge what people do, not who they are."""
    if isinstance(call.caller, ApiKey):
        return True
    return (await context.accounts.by_id(call.user.user_id)).role == "admin"


def _admin_user(user: EditedUser, shows_email: bool) -> AdminUser:
    return AdminUser(
        user.id,
        user.username,
        user.email if shows_email else None,
        user.role,
        user.status,
        user.current_score,
        user.created_at,
        user.updated_at,
    )


_TAG = "Admin: users"

ADMIN_USERS: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/admin/users",
        handler=list_users,
        tag=_TAG,
        summary="Find users",
        access="moderator",
        limit="user",
        params=UsersQuery,
        replies={200: AdminUsers},
        problems=LEDGER_AWAY,
    ),
    Route(
        method="GET",
        path="/api/admin/users/{user_id}",
        handler=get_user,
        tag=_TAG,
        summary="Get a user and their places",
        access="moderator",
        limit="user",
        params=UserQuery,
        replies={200: UserDetails},
        problems=(Code.USER_UNKNOWN, *RANKS_AWAY),
    ),
    Route(
        method="PUT",
        path="/api/admin/users/{user_id}/role",
        handler=set_user_role,
        tag=_TAG,
        summary="Make a user player, moderator or admin",
        description="Refused for oneself and for the last admin. API keys may not change roles.",
        access="admin",
        limit="user",
        params=UserQuery,
        body=SetRole,
        replies={200: AdminUser},
        problems=(Code.USER_UNKNOWN, Code.LAST_ADMIN, Code.NAME_SIMILAR, *LEDGER_AWAY),
    ),
    Route(
        method="POST",
        path="/api/admin/users/{user_id}/password",
        handler=reset_user_password,
        tag=_TAG,
        summary="Set a new password and end every session",
        description="The password is generated and shown once.",
        access="admin",
        scope="users:write",
        limit="user",
        params=UserQuery,
        body=ResetPassword,
        replies={200: FreshPassword},
        problems=(Code.USER_UNKNOWN, *LEDGER_AWAY),
    ),
)
