"""Reviews of held actions, reversals, adjustments, a score explained row by row, and erasure."""

from __future__ import annotations

from ..domain.errors import Code, LaurelsError
from ..domain.names import fold_name
from ..ledger.accounts import erasure
from ..ledger.corrections import corrections, review
from ..ledger.corrections.corrections import Correction
from ..ledger.corrections.review import Decided, Held
from ..ledger.db.paging import Page
from ..ledger.events.audit import Actor
from ..ledger.queries import score_history
from ..ledger.queries.score_history import Statement
from .admin_context import AdminContext


async def list_held(
    context: AdminContext, cursor: str | None, limit: int, *, user_id: int | None = None, code: str | None = None
) -> Page[Held]:
    """Return a page of held actions that wait for a decision, oldest first."""
    return await review.pending(context.pool, cursor, limit, user_id=user_id, code=code)


async def approve(context: AdminContext, action_id: int, actor: Actor, reason: str) -> Decided:
    """Let a held action count, from its own time on."""
    return await review.approve(context.pool, actor, action_id, reason)


async def reject(context: AdminContext, action_id: int, actor: Actor, reason: str) -> Decided:
    """Let a held action never count, and free what it used up."""
    return await review.reject(context.pool, actor, action_id, reason)


async def reverse(context: AdminContext, action_id: int, actor: Actor, reason: str) -> Correction:
    """Undo an action with a compensating row, once however often it is requested."""
    return await corrections.reverse(context.pool, actor, action_id, reason)


async def adjust(
    context: AdminContext, user_id: int, points: int, identifier: str, actor: Actor, reason: str
) -> Correction:
    """Give or take points by hand, once for each `identifier` of the user."""
    return await corrections.adjust(context.pool, context.catalogue, actor, user_id, points, reason, identifier)


async def read_score_history(context: AdminContext, user_id: int, cursor: str | None, limit: int) -> Statement:
    """Return a page of a user's rows, newest first, with the score and the sum of all rows that count."""
    return await score_history.of_user(context.reads, user_id, cursor, limit)


async def erase_user(context: AdminContext, user_id: int, username: str, actor: Actor, reason: str | None) -> bool:
    """Erase a user's personal data permanently; return False when that was done before.

    `username` must be the name of this user, in any case: a wrong id would erase another user. Raises LaurelsError
    USER_UNKNOWN, FORBIDDEN, LAST_ADMIN or INVALID_REQUEST.
    """
    user = await context.users.get(user_id)
    if fold_name(user.username) != fold_name(username):
        raise LaurelsError(Code.INVALID_REQUEST, "This is not the name of this user.", path="$.username")
    return await erasure.erase(context.pool, actor, user_id, reason)
