"""Boards and places on them."""

from __future__ import annotations

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


class AroundQuery(Request, frozen=True):
    slug: Slug
    username: AnyUsername
    radius: Annotated[int, Meta(ge=0, le=50, description="Neighbours on each side")] = 5


class RankQuery(Request, frozen=True):
    slug: Slug
    username: AnyUsername


class LiveQuery(Request, frozen=True):
    board: Slug | None = None
