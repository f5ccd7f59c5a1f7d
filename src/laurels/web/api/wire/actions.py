"""Completing actions, and what answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from ....domain.metadata import METADATA_BYTES, METADATA_DEPTH
from ....domain.rules import Member
from .fields import NO_CONTROLS, Identifier, Request, SaidIdentifier, SaidTypeName, TypeName

MAX_BATCH = 1_000


class ActionInput(Request, frozen=True):
    """`completed_at` is when it happened by the sender's clock; left out, the ledger's clock counts."""

    action_type: SaidTypeName
    action_identifier: SaidIdentifier
    metadata: (
        Annotated[
            dict[str, Any],
            Meta(description=f"At most {METADATA_BYTES} bytes as JSON, {METADATA_DEPTH} levels, integers of 64 bits"),
        ]
        | None
    ) = None
    completed_at: Annotated[datetime, Meta(tz=True)] | None = None


class CompleteAction(ActionInput, frozen=True):
    """`completed_at` is when it happened by the sender's clock; left out, the ledger's clock counts.

    `ticket` is what /api/actions/start answered, for types that ask for one.
    """

    ticket: Annotated[str, Meta(min_length=1, max_length=1_024, pattern=NO_CONTROLS)] | None = None


class StartAction(Request, frozen=True):
    action_type: TypeName


class TicketInfo(msgspec.Struct, frozen=True):
    """A `ticket` is good for one award, from `not_before` until before `expires_at`, by the ledger's clock.

    `challenge` is random text inside the ticket, from which your app may derive what there is to do.
    """

    ticket: str
    action_type: str
    challenge: str
    started_at: datetime
    not_before: datetime
    expires_at: datetime


class CompleteBatch(Request, frozen=True):
    actions: Annotated[list[CompleteAction], Meta(min_length=1, max_length=MAX_BATCH)]


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to an action. The same identifier gets the same receipt again.

    `status` is `held` while the action waits for a review: it counts nothing (`score_earned` 0) until it is
    `awarded`, or found not to count (`rejected`).

    `reason` says how the score came about where it is not the base score, and whatever changed a number on the way:
    a multiplier that was clamped to its bounds, a product that was rounded.

    `rank` and `previous_rank` are places in `board`, exact at `seq`. When one is not known it is null
    and `rank_state` says why: `rebuilding` (the index was away: a rank that is given was counted in the
    ledger, and the one before is not known), or `unrecorded` (the node died right after answering).
    Actions of one user that were committed together share both; `entered_top` is true for the one that crossed.
    """

    action_id: int
    action_type: str
    action_identifier: str
    status: Literal["awarded", "held", "rejected"]
    score_earned: int
    reason: str | None
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
    """`status` is awarded, held or replayed (then `receipt` is there) or refused (then `code` and `detail` are)."""

    status: Literal["awarded", "held", "replayed", "refused"]
    action_identifier: str
    receipt: Receipt | None = None
    code: str | None = None
    detail: str | None = None
    retry_after: int | None = None


class BatchReceipt(msgspec.Struct, frozen=True):
    """One result per item, in order. They are in one commit, or in a few, in order, where one would take too long."""

    awarded: int
    held: int
    replayed: int
    refused: int
    results: list[BatchItem]


class TicketTimes(msgspec.Struct, frozen=True):
    """How long after its start an action counts, in seconds."""

    min_seconds: int
    max_seconds: int


class ActionTypeInfo(msgspec.Struct, frozen=True):
    """`server_only`: completed by your app's server. `ticket`: to be started first at /api/actions/start.

    `metadata`: the members that metadata may have; null: anything.
    """

    name: str
    description: str
    base_score: int
    server_only: bool
    ticket: TicketTimes | None
    metadata: dict[str, Member] | None


class ActionTypes(msgspec.Struct, frozen=True):
    action_types: list[ActionTypeInfo]


class ReceiptQuery(Request, frozen=True):
    action_identifier: Identifier
