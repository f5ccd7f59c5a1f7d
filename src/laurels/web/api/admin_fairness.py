"""Reviews, reversals, adjustments, sanctions and erasure."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType, structs

from ...app import fairness
from ...app.admin_context import AdminContext
from ...app.users import set_status
from ...domain.errors import Code
from ...domain.standings import INT64_MAX, INT64_MIN
from ...ledger.corrections.review import Held
from ...ledger.queries.score_history import LedgerEntry
from ..fields import NO_CONTROLS, AnyUsername, Identifier, ListQuery, Reason, Request, UserId, UserQuery, given, raw
from ..pipeline.call import Call
from ..pipeline.route import Route
from .codes import LEDGER_AWAY

ActionId = Annotated[int, Meta(ge=1, le=INT64_MAX, examples=[1])]
Points = Annotated[int, Meta(gt=INT64_MIN, le=INT64_MAX, examples=[-50])]


class Decide(Request, frozen=True):
    reason: Reason


class SetStatus(Request, frozen=True):
    status: Literal["active", "shadowed", "banned"]
    reason: Reason


class Adjust(Request, frozen=True):
    """`adjustment_identifier` identifies the adjustment of this user: sent again, it is still applied once."""

    points: Points
    adjustment_identifier: Identifier
    reason: Reason


class Erase(Request, frozen=True):
    """`username` must be the user's name, so that a mistyped id does not erase another user."""

    username: AnyUsername
    reason: Reason | None = None


class HeldAction(msgspec.Struct, frozen=True):
    """An action that waits for a decision. `score_earned` counts if it is approved. `code`, `detail`: the finding."""

    action_id: int
    user_id: int
    username: str
    action_type: str
    action_identifier: str
    score_earned: int
    code: str
    detail: str
    metadata: msgspec.Raw | None
    created_at: datetime


class HeldActions(msgspec.Struct, frozen=True):
    actions: list[HeldAction]
    next: str | None


class Decision(msgspec.Struct, frozen=True):
    """`replayed`: the same decision was made earlier."""

    action_id: int
    user_id: int
    status: Literal["awarded", "rejected"]
    replayed: bool


class Corrected(msgspec.Struct, frozen=True):
    """The row that was added, and the user's score on the default board after it. `replayed`: it was added earlier."""

    action_id: int
    user_id: int
    points: int
    new_score: int
    replayed: bool


class Sanctioned(msgspec.Struct, frozen=True):
    """`changed` is false when the user had this status already."""

    user_id: int
    status: str
    changed: bool


class AdminLedgerRow(msgspec.Struct, frozen=True):
    """One row of a user's ledger. The sum of `counted` is the total. From `held_code` on: its review."""

    action_id: int
    kind: str
    action_type: str | None
    action_identifier: str | None
    status: str
    score_earned: int
    counted: int
    reason: str | None
    reverses: int | None
    reversed_by: int | None
    metadata: msgspec.Raw | None
    completed_at: datetime
    created_at: datetime
    held_code: str | None
    held_detail: str | None
    decided_by: str | None
    decision_reason: str | None


class AdminLedger(msgspec.Struct, frozen=True):
    """`score` is the score on the default board; `total` is the sum of `counted` over all pages."""

    score: int
    total: int
    rows: list[AdminLedgerRow]
    next: str | None


class ReviewQuery(ListQuery, frozen=True):
    """All given filters must match. `code`: held by that detector."""

    user_id: UserId | UnsetType = UNSET
    code: Annotated[str, Meta(min_length=1, max_length=64, pattern=NO_CONTROLS)] | None = None


class ActionQuery(Request, frozen=True):
    action_id: ActionId


class UserLedgerQuery(ListQuery, frozen=True, kw_only=True):
    user_id: UserId


async def list_held(context: AdminContext, call: Call) -> HeldActions:
    """Return a page of held actions, oldest first."""
    query = call.params
    found = await fairness.list_held(context, query.cursor, query.limit, user_id=given(query.user_id), code=query.code)
    return HeldActions([_held(held) for held in found.rows], found.next)


async def approve_action(context: AdminContext, call: Call) -> Decision:
    """Let a held action count."""
    decided = await fairness.approve(context, call.params.action_id, call.actor, call.body.reason)
    return Decision(*structs.astuple(decided))


async def reject_action(context: AdminContext, call: Call) -> Decision:
    """Let a held action never count."""
    decided = await fairness.reject(context, call.params.action_id, call.actor, call.body.reason)
    return Decision(*structs.astuple(decided))


async def reverse_action(context: AdminContext, call: Call) -> Corrected:
    """Reverse an action with a compensating row."""
    correction = await fairness.reverse(context, call.params.action_id, call.actor, call.body.reason)
    return Corrected(*structs.astuple(correction))


async def adjust_user(context: AdminContext, call: Call) -> Corrected:
    """Give or take points by hand."""
    body, user_id = call.body, call.params.user_id
    correction = await fairness.adjust(
        context, user_id, body.points, body.adjustment_identifier, call.actor, body.reason
    )
    return Corrected(*structs.astuple(correction))


async def set_user_status(context: AdminContext, call: Call) -> Sanctioned:
    """Ban or shadow a user, or lift either."""
    user_id, body = call.params.user_id, call.body
    changed = await set_status(context, user_id, body.status, call.actor, body.reason)
    return Sanctioned(user_id, body.status, changed)


async def erase_user(context: AdminContext, call: Call) -> Sanctioned:
    """Erase a user's personal data."""
    user_id, body = call.params.user_id, call.body
    changed = await fairness.erase_user(context, user_id, body.username, call.actor, body.reason)
    return Sanctioned(user_id, "erased", changed)


async def get_user_ledger(context: AdminContext, call: Call) -> AdminLedger:
    """Return a page of a user's rows, newest first."""
    query = call.params
    found = await fairness.read_score_history(context, query.user_id, query.cursor, query.limit)
    return AdminLedger(found.score, found.total, [_row(entry) for entry in found.page.rows], found.page.next)


def _held(held: Held) -> HeldAction:
    return HeldAction(**{**structs.asdict(held), "metadata": raw(held.metadata)})


def _row(entry: LedgerEntry) -> AdminLedgerRow:
    members = structs.asdict(entry)
    action_id = members.pop("id")
    members |= {"metadata": raw(entry.metadata), "reason": entry.explanation, "counted": entry.counted}
    return AdminLedgerRow(action_id=action_id, **members)


_TAG = "Admin: fairness"

ADMIN_FAIRNESS: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/admin/review",
        handler=list_held,
        tag=_TAG,
        summary="List held actions that wait for a decision",
        description="Oldest first.",
        access="moderator",
        limit="user",
        params=ReviewQuery,
        replies={200: HeldActions},
        problems=LEDGER_AWAY,
    ),
    Route(
        method="POST",
        path="/api/admin/actions/{action_id}/approve",
        handler=approve_action,
        tag=_TAG,
        summary="Approve a held action: it counts from its own time on",
        access="moderator",
        scope="corrections:write",
        limit="user",
        params=ActionQuery,
        body=Decide,
        replies={200: Decision},
        problems=(Code.ACTION_UNKNOWN, Code.NOT_HELD, Code.SCORE_OVERFLOW, *LEDGER_AWAY),
    ),
    Route(
        method="POST",
        path="/api/admin/actions/{action_id}/reject",
        handler=reject_action,
        tag=_TAG,
        summary="Reject a held action: it never counts",
        description="Caps, cooldowns and claims that it used up are released.",
        access="moderator",
        scope="corrections:write",
        limit="user",
        params=ActionQuery,
        body=Decide,
        replies={200: Decision},
        problems=(Code.ACTION_UNKNOWN, Code.NOT_HELD, *LEDGER_AWAY),
    ),
    Route(
        method="POST",
        path="/api/admin/actions/{action_id}/reverse",
        handler=reverse_action,
        tag=_TAG,
        summary="Reverse an action with a compensating row",
        description="Applied once, however often it is sent. Standings are folded as if the action did not exist.",
        access="moderator",
        scope="corrections:write",
        limit="user",
        params=ActionQuery,
        body=Decide,
        replies={200: Corrected},
        problems=(Code.ACTION_UNKNOWN, Code.NOT_REVERSIBLE, Code.SCORE_OVERFLOW, *LEDGER_AWAY),
    ),
    Route(
        method="GET",
        path="/api/admin/users/{user_id}/ledger",
        handler=get_user_ledger,
        tag=_TAG,
        summary="Get a user's score row by row",
        description="Newest first. The sum of `counted` is the total.",
        access="moderator",
        limit="user",
        params=UserLedgerQuery,
        replies={200: AdminLedger},
        problems=(Code.USER_UNKNOWN, *LEDGER_AWAY),
    ),
    Route(
        method="PUT",
        path="/api/admin/users/{user_id}/status",
        handler=set_user_status,
        tag=_TAG,
        summary="Ban or shadow a user, or lift either",
        description="On every node within a second. Lifting restores the exact standings. Moderators act on players.",
        access="moderator",
        scope="users:write",
        limit="user",
        params=UserQuery,
        body=SetStatus,
        replies={200: Sanctioned},
        problems=(Code.USER_UNKNOWN, Code.LAST_ADMIN, *LEDGER_AWAY),
    ),
    Route(
        method="POST",
        path="/api/admin/users/{user_id}/adjust",
        handler=adjust_user,
        tag=_TAG,
        summary="Give or take points by hand",
        description="Adds a row to the ledger with the reason.",
        access="admin",
        scope="corrections:write",
        limit="user",
        params=UserQuery,
        body=Adjust,
        replies={200: Corrected},
        problems=(
            Code.USER_UNKNOWN,
            Code.IDENTIFIER_CONFLICT,
            Code.NOT_ADJUSTABLE,
            Code.SCORE_OVERFLOW,
            *LEDGER_AWAY,
        ),
    ),
    Route(
        method="POST",
        path="/api/admin/users/{user_id}/erase",
        handler=erase_user,
        tag=_TAG,
        summary="Erase a user's personal data",
        description="Can't be undone. The ledger keeps its rows under a pseudonym.",
        access="admin",
        scope="users:write",
        limit="user",
        params=UserQuery,
        body=Erase,
        replies={200: Sanctioned},
        problems=(Code.USER_UNKNOWN, Code.LAST_ADMIN, *LEDGER_AWAY),
    ),
)
