"""What requests and replies look like. The OpenAPI document is made from these structs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from ..ranking.scoreboards import Scoreboard, ScoreRow, WindowSpan

__all__ = ["ScoreRow", "Scoreboard", "WindowSpan"]

MAX_BATCH = 1_000
METADATA_BYTES = 4_096
METADATA_DEPTH = 8

# Python's $ also matches before a final newline; (?!\n) makes it mean in Python what it means in JSON Schema.
_END = r"$(?!\n)"

Slug = Annotated[str, Meta(pattern=f"^[a-z0-9][a-z0-9-]{{0,62}}{_END}", max_length=63, examples=["points"])]
Username = Annotated[
    str,
    Meta(min_length=3, max_length=32, description="Letters, digits, symbols and single spaces", examples=["ada"]),
]
AnyUsername = Annotated[str, Meta(min_length=1, max_length=64, examples=["ada"])]
Password = Annotated[str, Meta(min_length=10, max_length=256, examples=["correct horse battery"])]
Email = Annotated[str, Meta(max_length=254, pattern=r"^[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,189}" + _END)]
_NO_CONTROLS = r"^[^\x00-\x1f\x7f-\x9f]+" + _END
Identifier = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=128,
        pattern=_NO_CONTROLS,
        description="Printable characters; unique per user",
        examples=["course-12-lesson-7"],
    ),
]
TypeName = Annotated[str, Meta(min_length=1, max_length=64, pattern=_NO_CONTROLS, examples=["lesson"])]
RefreshToken = Annotated[str, Meta(min_length=1, max_length=128)]


class Request(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Unknown members are refused: a misspelt one must not be ignored in silence."""


class Register(Request, frozen=True):
    username: Username
    password: Password
    email: Email | None = None


class Login(Request, frozen=True):
    username: AnyUsername
    password: Annotated[str, Meta(min_length=1, max_length=256, examples=["correct horse battery"])]


class Refresh(Request, frozen=True):
    refresh_token: RefreshToken


class CompleteAction(Request, frozen=True):
    """`completed_at` is when it happened by the sender's clock; left out, the ledger's clock counts."""

    action_type: TypeName
    action_identifier: Identifier
    metadata: (
        Annotated[
            dict[str, Any],
            Meta(description=f"At most {METADATA_BYTES} bytes as JSON, {METADATA_DEPTH} levels, integers of 64 bits"),
        ]
        | None
    ) = None
    completed_at: Annotated[datetime, Meta(tz=True)] | None = None


class CompleteBatch(Request, frozen=True):
    actions: Annotated[list[CompleteAction], Meta(min_length=1, max_length=MAX_BATCH)]


class Account(msgspec.Struct, frozen=True):
    id: int
    username: str
    role: str


class Tokens(msgspec.Struct, frozen=True):
    """`expires_in` is in seconds. A refresh token is good for one use."""

    access_token: str
    expires_in: int
    refresh_token: str
    user: Account
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  a scheme, not a secret


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to an action. The same identifier gets the same receipt again.

    `rank` and `previous_rank` are places in `board`, exact at `seq`. When one is not known it is null
    and `rank_state` says why: `rebuilding`, or `unrecorded` (the node died right after answering).
    """

    action_id: int
    action_type: str
    action_identifier: str
    score_earned: int
    new_score: int
    rank: int | None
    previous_rank: int | None
    rank_state: Literal["exact", "rebuilding", "unrecorded"]
    entered_top: bool
    board: str
    seq: int | None
    completed_at: datetime
    replayed: bool


class BatchItem(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`status` is awarded or replayed (then `receipt` is there) or refused (then `code` and `detail` are)."""

    status: Literal["awarded", "replayed", "refused"]
    action_identifier: str
    receipt: Receipt | None = None
    code: str | None = None
    detail: str | None = None
    retry_after: int | None = None


class BatchReceipt(msgspec.Struct, frozen=True):
    """One result per item, in order. All that were awarded are in one commit."""

    awarded: int
    replayed: int
    refused: int
    results: list[BatchItem]


class ActionTypeInfo(msgspec.Struct, frozen=True):
    name: str
    description: str
    base_score: int


class ActionTypes(msgspec.Struct, frozen=True):
    action_types: list[ActionTypeInfo]


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


class Liveness(msgspec.Struct, frozen=True):
    alive: bool = True


class Readiness(msgspec.Struct, frozen=True):
    """`missing` names, in words, what keeps the node from serving."""

    ready: bool
    missing: list[str]


class WindowReport(msgspec.Struct, frozen=True):
    board: str
    standings: int
    drift: int


class IndexReport(msgspec.Struct, frozen=True):
    """`drift` counts standings that index and ledger hold differently."""

    windows: list[WindowReport]


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


class ReceiptQuery(Request, frozen=True):
    action_identifier: Identifier


class MeQuery(Request, frozen=True):
    recent: Annotated[int, Meta(ge=0, le=100, description="How many recent actions")] = 20
