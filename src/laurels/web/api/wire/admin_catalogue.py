"""Action types and boards, as operators read and change them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ....domain.boards import Period, Ties, is_time_zone
from ....domain.errors import Code, LaurelsError
from ....domain.rules import ScoringRules
from ....domain.standings import INT64_MAX, INT64_MIN, Aggregate, Order
from .fields import END, NO_CONTROLS, AnyUsername, ListQuery, Reason, Request, Slug, TypeName, Version

Score = Annotated[int, Meta(ge=INT64_MIN, le=INT64_MAX, examples=[10])]
Description = Annotated[str, Meta(max_length=500, pattern=r"^[^\x00]*" + END, examples=["Finish a lesson"])]
BoardName = Annotated[str, Meta(min_length=1, max_length=64, pattern=NO_CONTROLS, examples=["This month"])]
TimeZone = Annotated[
    str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_+/-]+" + END, examples=["Europe/Berlin"])
]
PointsCap = Annotated[int, Meta(ge=1, le=INT64_MAX)]
BoardTypes = Annotated[list[TypeName], Meta(min_length=1, max_length=100)]


class CreateActionType(Request, frozen=True):
    name: TypeName
    base_score: Score
    description: Description = ""
    scoring_rules: ScoringRules = ScoringRules()
    is_active: bool = True
    reason: Reason | None = None


class EditActionType(Request, frozen=True):
    """Members left out stay as they are. `version` is the one the edit was made on."""

    version: Version
    base_score: Score | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    scoring_rules: ScoringRules | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    reason: Reason | None = None


class AdminActionType(msgspec.Struct, frozen=True):
    id: int
    name: str
    description: str
    base_score: int
    scoring_rules: ScoringRules
    is_active: bool
    version: int


class AdminActionTypes(msgspec.Struct, frozen=True):
    action_types: list[AdminActionType]
    next: str | None


class TryAction(Request, frozen=True):
    """A hypothetical action of `username`. `base_score` and `scoring_rules` are tried in the place of those in force.

    `by_server`: as if your app's server vouched for it, which needs no ticket.
    """

    username: AnyUsername
    metadata: dict[str, Any] | None = None
    completed_at: Annotated[datetime, Meta(tz=True)] | None = None
    by_server: bool = False
    base_score: Score | UnsetType = UNSET
    scoring_rules: ScoringRules | UnsetType = UNSET


class TrialResult(msgspec.Struct, frozen=True):
    """`rule` names the member of the scoring rules that refuses. Nothing was written."""

    verdict: Literal["awarded", "held", "refused"]
    score: int | None
    new_score: int | None
    reason: str | None
    code: str | None
    detail: str | None
    rule: str | None
    retry_at: datetime | None


class CreateBoard(Request, frozen=True):
    """`action_types` left out: all count. A periodic board begins with the window that is open."""

    slug: Slug
    name: BoardName
    order: Order = "desc"
    aggregate: Aggregate = "sum"
    ties: Ties = "ordinal"
    period: Period = "all_time"
    time_zone: TimeZone = "UTC"
    action_types: BoardTypes | None = None
    reason: Reason | None = None


class EditBoard(Request, frozen=True):
    """Members left out stay as they are. What a rank means is fixed: those members may be sent, but not changed."""

    version: Version
    name: BoardName | UnsetType = UNSET
    daily_points_cap: PointsCap | UnsetType | None = UNSET
    archived: bool | UnsetType = UNSET
    order: Order | UnsetType = UNSET
    aggregate: Aggregate | UnsetType = UNSET
    ties: Ties | UnsetType = UNSET
    period: Period | UnsetType = UNSET
    time_zone: TimeZone | UnsetType = UNSET
    action_types: BoardTypes | UnsetType | None = UNSET
    reason: Reason | None = None


class AdminBoard(msgspec.Struct, frozen=True):
    """`state`: filling (what counted before is being folded in; not shown yet), open, or archived."""

    id: int
    slug: str
    name: str
    order: str
    aggregate: str
    ties: str
    period: str
    time_zone: str
    action_types: list[str] | None
    daily_points_cap: int | None
    is_default: bool
    state: str
    archived_at: datetime | None
    version: int


class AdminBoards(msgspec.Struct, frozen=True):
    boards: list[AdminBoard]
    next: str | None


class ActionTypesQuery(ListQuery, frozen=True):
    active: bool | UnsetType = UNSET
    prefix: TypeName | None = None


class ActionTypeQuery(Request, frozen=True):
    name: TypeName


class BoardsQuery(ListQuery, frozen=True):
    archived: bool | UnsetType = UNSET


class AdminBoardQuery(Request, frozen=True):
    slug: Slug


def check_time_zone(name: str) -> None:
    """Raises LaurelsError(INVALID_REQUEST)."""
    if not is_time_zone(name):
        raise LaurelsError(
            Code.INVALID_REQUEST, f"{name!r} is not a time zone, such as Europe/Berlin.", path="$.time_zone"
        )
