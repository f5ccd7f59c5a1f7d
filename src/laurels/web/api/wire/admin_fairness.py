"""Reviews, reversals, sanctions and erasure, as moderators and admins carry them out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ....domain.standings import INT64_MAX, INT64_MIN
from .admin_users import UserId
from .fields import NO_CONTROLS, AnyUsername, Identifier, ListQuery, Reason, Request

ActionId = Annotated[int, Meta(ge=1, le=INT64_MAX, examples=[1])]
Points = Annotated[int, Meta(gt=INT64_MIN, le=INT64_MAX, examples=[-50])]


class Decide(Request, frozen=True):
    reason: Reason


class SetStatus(Request, frozen=True):
    status: Literal["active", "shadowed", "banned"]
    reason: Reason


class Adjust(Request, frozen=True):
    """`adjustment_identifier` names the adjustment among those of the user: sent again, it is carried out once."""

    points: Points
    adjustment_identifier: Identifier
    reason: Reason


class Erase(Request, frozen=True):
    """`username` is the user's name, so that a slip of the hand erases nobody."""

    username: AnyUsername
    reason: Reason | None = None


class HeldAction(msgspec.Struct, frozen=True):
    """Waits for a decision. `score_earned`: what it counts if approved. `code`, `detail`: what looked wrong."""

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
    """`replayed`: it was decided so earlier."""

    action_id: int
    user_id: int
    status: Literal["awarded", "rejected"]
    replayed: bool


class Corrected(msgspec.Struct, frozen=True):
    """The row that was added, and the user's score in the default board after it. `replayed`: earlier already."""

    action_id: int
    user_id: int
    points: int
    new_score: int
    replayed: bool


class Sanctioned(msgspec.Struct, frozen=True):
    """`changed` is false when it was so already."""

    user_id: int
    status: str
    changed: bool


class AdminLedgerRow(msgspec.Struct, frozen=True):
    """One row of a user's ledger. `counted` adds up to the total; the members from `held_code` on are its review."""

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
    """`score` in the default board; `total` is the sum of what counts, over all pages."""

    score: int
    total: int
    rows: list[AdminLedgerRow]
    next: str | None


class ReviewQuery(ListQuery, frozen=True):
    """All that are given must fit. `code`: held by that detector."""

    user_id: UserId | UnsetType = UNSET
    code: Annotated[str, Meta(min_length=1, max_length=64, pattern=NO_CONTROLS)] | None = None


class ActionQuery(Request, frozen=True):
    action_id: ActionId


class UserLedgerQuery(ListQuery, frozen=True, kw_only=True):
    user_id: UserId
