"""Boards and places on them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from .fields import AnyUsername, Request, Slug


class BoardInfo(msgspec.Struct, frozen=True):
    slug: str
    name: str
    is_default: bool
    order: str
    aggregate: str
    ties: str
    period: str
    time_zone: str


class Boards(msgspec.Struct, frozen=True):
    boards: list[BoardInfo]


class WindowInfo(msgspec.Struct, frozen=True):
    """`ends_at` is exclusive. `id` is what `/windows/{id}` takes."""

    id: int
    starts_at: datetime
    ends_at: datetime


class Windows(msgspec.Struct, frozen=True):
    """Newest first; `next_before` asks for those before them, null when there are no more."""

    windows: list[WindowInfo]
    next_before: int | None


class PlaceOnBoard(msgspec.Struct, frozen=True):
    """`rank` and `score` are null for users who have not scored in this window."""

    board: str
    username: str
    rank: int | None
    score: int | None
    total_users: int
    epoch: str
    seq: int
    rank_state: str


class TopQuery(Request, frozen=True):
    limit: Annotated[int, Meta(ge=1, le=100)] = 10


class BoardQuery(Request, frozen=True):
    slug: Slug
    limit: Annotated[int, Meta(ge=1, le=100)] = 10


class WindowsQuery(Request, frozen=True):
    slug: Slug
    before: Annotated[int, Meta(ge=1, le=2**63 - 1, description="Only windows before the one with this id")] = 2**63 - 1
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class WindowQuery(Request, frozen=True):
    slug: Slug
    window: Annotated[int, Meta(ge=1, le=2**63 - 1)]
    limit: Annotated[int, Meta(ge=1, le=100)] = 10


class AroundQuery(Request, frozen=True):
    slug: Slug
    username: AnyUsername
    radius: Annotated[int, Meta(ge=0, le=50, description="Neighbours on each side")] = 5


class RankQuery(Request, frozen=True):
    slug: Slug
    username: AnyUsername
