"""Users, listed and changed."""

from __future__ import annotations

import secrets

from ....domain.errors import Code, LaurelsError
from ....domain.standings import INT64_MAX, INT64_MIN
from ....ledger.accounts.user_editor import EditedUser, UserFilter
from ...auth.keyring import ApiKey
from ...http.call import Call
from ..wire.admin_users import AdminUser, AdminUsers, FreshPassword, UserDetails, UsersQuery
from ..wire.fields import given
from .boards import place_on


async def list_users(call: Call) -> AdminUsers:
    query: UsersQuery = call.params
    services, wanted = call.services, UserFilter(query.prefix, given(query.status), given(query.role))
    scores = (query.min_score, query.max_score)
    if query.sort != "score" and scores != (INT64_MIN, INT64_MAX):
        raise LaurelsError(Code.INVALID_REQUEST, "min_score and max_score go with sort=score.", path="$.sort")
    if query.sort == "score":
        window = await services.catalogue.window(services.catalogue.default_board)
        found = await services.user_editor.by_score(window, wanted, scores, query.cursor, query.limit)
    elif query.sort == "name":
        found = await services.user_editor.by_name(wanted, query.cursor, query.limit)
    else:
        found = await services.user_editor.newest(wanted, query.cursor, query.limit)
    shows_email = await _may_see_addresses(call)
    return AdminUsers([_told(user, shows_email) for user in found.rows], found.next)


async def get_user(call: Call) -> UserDetails:
    user = await call.services.user_editor.get(call.params.user_id)
    places = [await place_on(call, board, user.id, user.username) for board in call.services.catalogue.boards.values()]
    return UserDetails(_told(user, await _may_see_addresses(call)), places)


async def set_user_role(call: Call) -> AdminUser:
    services, body = call.services, call.body
    user = await services.user_editor.set_role(
        call.params.user_id, body.role, call.actor, body.reason, allow_similar=body.allow_similar
    )
    return _told(user, shows_email=True)


async def reset_user_password(call: Call) -> FreshPassword:
    password = secrets.token_urlsafe(12)
    hashed = await call.services.passwords.hash(password)
    await call.services.user_editor.set_password(call.params.user_id, hashed, call.actor, call.body.reason)
    return FreshPassword(password)


async def _may_see_addresses(call: Call) -> bool:
    """Moderators judge what people do, not who they are."""
    if isinstance(call.caller, ApiKey):
        return True
    return (await call.services.accounts.by_id(call.user.user_id)).role == "admin"


def _told(user: EditedUser, shows_email: bool) -> AdminUser:
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
