"""API keys."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from ....domain.authorization import SCOPES, Scope
from ....domain.standings import INT64_MAX
from .fields import NO_CONTROLS, Reason, Request

MAX_OVERLAP = 30 * 86_400

KeyId = Annotated[int, Meta(ge=1, le=INT64_MAX)]


class CreateKey(Request, frozen=True):
    name: Annotated[str, Meta(min_length=1, max_length=64, pattern=NO_CONTROLS, examples=["game server"])]
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=len(SCOPES))]


class RotateKey(Request, frozen=True):
    overlap_seconds: Annotated[int, Meta(ge=0, le=MAX_OVERLAP, description="How long the old secret stays good")] = (
        86_400
    )
    reason: Reason | None = None


class RevokeKey(Request, frozen=True):
    reason: Reason | None = None


class KeyQuery(Request, frozen=True):
    id: KeyId


class Key(msgspec.Struct, frozen=True):
    """`last_used_at` is right within some minutes. `overlap_until`: when the secret before the last rotation ends."""

    id: int
    name: str
    scopes: list[Scope]
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None
    overlap_until: datetime | None


class Keys(msgspec.Struct, frozen=True):
    """Newest first."""

    keys: list[Key]
    next: str | None


class NewKey(msgspec.Struct, frozen=True):
    """`api_key` and `signing_secret` are shown this once."""

    key: Key
    api_key: str
    signing_secret: str
