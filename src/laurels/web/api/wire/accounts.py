"""Accounts and their tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from .boards import PlaceOnBoard
from .fields import AnyUsername, Email, Password, RefreshToken, Request, Username


class Register(Request, frozen=True):
    username: Username
    password: Password
    email: Email | None = None


class Login(Request, frozen=True):
    username: AnyUsername
    password: Annotated[str, Meta(min_length=1, max_length=256, examples=["correct horse battery"])]


class Refresh(Request, frozen=True):
    refresh_token: RefreshToken


class ChangePassword(Request, frozen=True):
    """`password`: the one in force."""

    password: Annotated[str, Meta(min_length=1, max_length=256, examples=["correct horse battery"])]
    new_password: Password


class Account(msgspec.Struct, frozen=True):
    id: int
    username: str
    role: str


class Tokens(msgspec.Struct, frozen=True):
    """`expires_in` is in seconds. A refresh token is good for one use; a lost reply may be asked for again."""

    access_token: str
    expires_in: int
    refresh_token: str
    user: Account
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  a scheme, not a secret


class RecentAction(msgspec.Struct, frozen=True):
    action_id: int
    action_type: str
    action_identifier: str
    score_earned: int
    new_score: int
    status: str
    completed_at: datetime
    created_at: datetime


class Me(msgspec.Struct, frozen=True):
    user: Account
    places: list[PlaceOnBoard]
    recent_actions: list[RecentAction]


class Jwks(msgspec.Struct, frozen=True):
    """RFC 7517 key set: the public halves of the keys that sign access tokens."""

    keys: list[dict[str, Any]]


class MeQuery(Request, frozen=True):
    recent: Annotated[int, Meta(ge=0, le=100, description="How many recent actions")] = 20
