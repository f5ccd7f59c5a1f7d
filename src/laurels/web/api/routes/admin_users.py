"""Users, for operators."""

from __future__ import annotations

from ....domain.errors import Code
from ...http.call import Route
from ..handlers import admin_users as handlers
from ..wire.admin_users import (
    AdminUser,
    AdminUsers,
    FreshPassword,
    ResetPassword,
    SetRole,
    UserDetails,
    UserQuery,
    UsersQuery,
)
from .codes import LEDGER_AWAY, RANKS_AWAY

_TAG = "Admin: users"

ADMIN_USERS: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/admin/users",
        handler=handlers.list_users,
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
        handler=handlers.get_user,
        tag=_TAG,
        summary="A user and their places",
        access="moderator",
        limit="user",
        params=UserQuery,
        replies={200: UserDetails},
        problems=(Code.USER_UNKNOWN, *RANKS_AWAY),
    ),
    Route(
        method="PUT",
        path="/api/admin/users/{user_id}/role",
        handler=handlers.set_user_role,
        tag=_TAG,
        summary="Make someone player, moderator or admin",
        description="Not oneself, and not the last admin. No API key may change roles.",
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
        handler=handlers.reset_user_password,
        tag=_TAG,
        summary="Set a new password and end every session",
        description="The password is generated, and shown this once.",
        access="admin",
        scope="users:write",
        limit="user",
        params=UserQuery,
        body=ResetPassword,
        replies={200: FreshPassword},
        problems=(Code.USER_UNKNOWN, *LEDGER_AWAY),
    ),
)
