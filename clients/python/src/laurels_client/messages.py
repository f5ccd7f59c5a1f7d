"""Requests and replies. Members that a newer server adds are ignored."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import uuid4

import msgspec

MAX_BATCH = 1_000
MAX_BATCH_BYTES = 1 << 20
"""The server's limits for one body."""


def new_identifier() -> str:
    return str(uuid4())


class User(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The user an action is for: `username`, or `id`, or `issuer` and `subject` as in your issuer's tokens."""

    username: str | None = None
    id: int | None = None
    issuer: str | None = None
    subject: str | None = None


class Action(msgspec.Struct, frozen=True, omit_defaults=True):
    """One completion. Without an identifier it gets a random one here, once: keep the object to send it again.

    `user`: the user it is for, with an API key; without one it is the token's own user.
    `ticket`: the text of the ticket that `start` returned, for types that need one.
    """

    action_type: str
    action_identifier: str = msgspec.field(default_factory=new_identifier)
    metadata: dict[str, Any] | None = None
    completed_at: datetime | None = None
    user: User | None = None
    ticket: str | None = None


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket for one award, valid from `not_before` until before `expires_at`, by the server's clock.

    `challenge` is random text inside the ticket, from which your app may derive the task.
    """

    ticket: str
    action_type: str
    challenge: str
    started_at: datetime
    not_before: datetime
    expires_at: datetime


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to an action. `rank` is null when `rank_state` says why it is unknown.

    `status`: awarded, held for review, or rejected. `reason`: how the score came about where it is not the base score,
    and whether a number was clamped or rounded.
    """

    action_id: int
    action_type: str
    action_identifier: str
    status: str = "awarded"
    score_earned: int
    reason: str | None = None
    new_score: int
    rank: int | None
    previous_rank: int | None
    rank_state: str
    entered_top: bool
    board: str
    seq: int | None
    completed_at: datetime
    replayed: bool


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one item of a batch: with a receipt if it was accepted, with a code if it was refused."""

    status: str
    action_identifier: str
    receipt: Receipt | None = None
    code: str | None = None
    detail: str | None = None
    retry_after: int | None = None


class Row(msgspec.Struct, frozen=True):
    """`movement`: places gained since the last snapshot; null for a user who was not in it."""

    rank: int | None
    username: str
    score: int
    movement: int | None = None


class Window(msgspec.Struct, frozen=True):
    """Both null: all time. `ends_at` is exclusive."""

    starts_at: datetime | None
    ends_at: datetime | None


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """A section of a board. Equal `epoch` and `seq`: the same instant. `version`: the state of a live board."""

    board: str
    name: str
    order: str
    period: str
    window: Window
    epoch: str
    seq: int
    as_of: datetime
    rank_state: str
    total_users: int
    rows: list[Row]
    version: str = ""


class Page(Board, frozen=True, kw_only=True):
    """Some rows of a board. `next`: the cursor of the page behind it, None on the last page.

    `moved`: the board has changed since the page before; None when the server could not tell.
    """

    next: str | None
    moved: bool | None


class RankRow(msgspec.Struct, frozen=True):
    """`rank_within`: among the users asked for. All None for a user who has not scored in the window."""

    username: str
    rank: int | None
    rank_within: int | None
    score: int | None


class Ranks(msgspec.Struct, frozen=True):
    """Places of a set of users at one instant, best first. `unknown`: names that no user has."""

    board: str
    epoch: str
    seq: int
    total_users: int
    rank_state: str
    rows: list[RankRow]
    unknown: list[str]


class Place(msgspec.Struct, frozen=True):
    """A user's place on one board; `rank` and `score` are null for a user who has not scored in its window."""

    board: str
    username: str
    rank: int | None
    score: int | None
    total_users: int
    epoch: str
    seq: int
    rank_state: str


class Delta(msgspec.Struct, frozen=True, kw_only=True):
    """The difference to the board of version `base`: changed rows by their place, and the new length."""

    base: str
    version: str
    seq: int
    as_of: datetime
    rank_state: str
    total_users: int
    length: int
    rows: list[tuple[int, Row]]


class Frame(msgspec.Struct, frozen=True):
    """The members that all live frames have; the others are decoded by type."""

    type: str
    code: str = ""
    detail: str = ""
    retry_ms: int = 0


class BatchReply(msgspec.Struct, frozen=True):
    results: list[Result]


class Problem(msgspec.Struct, frozen=True):
    """A problem document (RFC 9457), as far as a client acts on it."""

    code: str = ""
    detail: str = ""
    request_id: str = ""
