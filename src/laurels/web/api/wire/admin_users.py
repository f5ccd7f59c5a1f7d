"""Users, as operators read and change them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ....domain.standings import INT64_MAX, INT64_MIN
from .boards import PlaceOnBoard
from .fields import NO_CONTROLS, ListQuery, Reason, Request

Role = Literal["player", "moderator", "admin"]
Status = Literal["active", "shadowed", "banned", "erased"]
UserId = Annotated[int, Meta(ge=1, le=INT64_MAX, examples=[1])]
Score = Annotated[int, Meta(ge=INT64_MIN, le=INT64_MAX)]


class AdminUser(msgspec.Struct, frozen=True):
    """`score` is that of the default board. `email` is told to admins only."""

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
    """`places` has one entry per board; who is hidden from a board has no rank there."""

    user: AdminUser
    places: list[PlaceOnBoard]


class SetRole(Request, frozen=True):
    """`allow_similar`: also when another user's name could be taken for that of the new operator."""

    role: Role
    reason: Reason | None = None
    allow_similar: bool = False


class ResetPassword(Request, frozen=True):
    reason: Reason | None = None


class FreshPassword(msgspec.Struct, frozen=True):
    """Shown this once. Every session of the user has ended."""

    password: str


class UsersQuery(ListQuery, frozen=True):
    """All that are given must fit. `sort=score` lists who is on the board; it alone takes min_score, max_score."""

    sort: Literal["newest", "name", "score"] = "newest"
    prefix: (
        Annotated[
            str, Meta(min_length=1, max_length=32, pattern=NO_CONTROLS, description="How the name begins, in any case")
        ]
        | None
    ) = None
    status: Status | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    min_score: Score = INT64_MIN
    max_score: Score = INT64_MAX


class UserQuery(Request, frozen=True):
    user_id: UserId
