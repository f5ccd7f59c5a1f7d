"""Receipts: what answers a completed action, at once and again later."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec

from .. import telemetry
from ..domain.boards import TOP_SIZE
from ..domain.errors import LaurelsError, retry_seconds
from ..domain.judgement import Accepted
from ..ledger.write.writer import DecidedAction, Result
from .context import ActionContext


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to an action. The same identifier returns the same action again, `replayed`.

    `status` is `held` while the action waits for a review. It counts nothing (`score_earned` 0) unless it becomes
    `awarded`; after a rejection it is `rejected`.

    `reason` explains a score that is not the base score, and every adjustment on the way: a multiplier that was
    clamped to its bounds, a product that was rounded.

    `rank` and `previous_rank` are places in `board`, exact at `seq`: those after and before the action. Actions of one
    user that were committed together share both; `entered_top` is true for the one that reached the top. A replayed
    receipt has the rank now, and no previous one. `rank_state` is `rebuilding` while the index is not available: then
    a given rank was counted in the ledger, and one that could not be counted in time is null.
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
    rank_state: Literal["exact", "rebuilding"]
    entered_top: bool
    board: str
    seq: int | None
    completed_at: datetime
    replayed: bool


class BatchItem(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`receipt` is present when `status` is awarded, held or replayed; `code` and `detail` when it is refused."""

    status: Literal["awarded", "held", "replayed", "refused"]
    action_identifier: str
    receipt: Receipt | None = None
    code: str | None = None
    detail: str | None = None
    retry_after: int | None = None


class BatchReceipt(msgspec.Struct, frozen=True):
    """One result per item, in order. They share one commit, or a few in order if one would take too long."""

    awarded: int
    held: int
    replayed: int
    refused: int
    results: list[BatchItem]


async def find_receipt(context: ActionContext, user_id: int, identifier: str) -> Receipt:
    """Return the receipt of an earlier action of this user, with the status that the action has now.

    Raises LaurelsError(RECEIPT_UNKNOWN).
    """
    recorded = await context.readers.receipt(user_id, identifier)
    placements = await context.scoreboards.placements([recorded.user_id])
    decided = DecidedAction(Accepted(recorded, replayed=True), placements[recorded.user_id])
    return receipt_of(decided, context.catalogue.default_board.slug)


def receipt_of(decided: DecidedAction, board: str) -> Receipt:
    """Return the receipt of an accepted action. `board`: slug of the default board."""
    action, placement = decided.accepted.action, decided.placement
    return Receipt(
        action_id=action.action_id,
        action_type=action.action_type,
        action_identifier=action.identifier,
        status=action.status,
        score_earned=action.counted,
        reason=action.reason,
        new_score=action.new_score,
        rank=placement.rank,
        previous_rank=placement.previous_rank,
        rank_state=placement.rank_state,
        entered_top=placement.entered(TOP_SIZE, action.action_id),
        board=board,
        seq=placement.seq,
        completed_at=action.completed_at,
        replayed=decided.accepted.replayed,
    )


def batch_receipt(identifiers: Sequence[str], results: Sequence[Result], board: str) -> BatchReceipt:
    """Return what answers a batch. `identifiers`: those that the results belong to, in order."""
    items = [batch_item(name, result, board) for name, result in zip(identifiers, results, strict=True)]
    statuses = [item.status for item in items]
    return BatchReceipt(
        statuses.count("awarded"),
        statuses.count("held"),
        statuses.count("replayed"),
        statuses.count("refused"),
        items,
    )


def batch_item(identifier: str, result: Result, board: str) -> BatchItem:
    """Return the answer to one action among several, and count it if it was refused."""
    if isinstance(result, LaurelsError):
        telemetry.REFUSALS.labels(result.code.value).inc()
        return BatchItem(
            status="refused",
            action_identifier=identifier,
            code=result.code.value,
            detail=result.detail,
            retry_after=retry_seconds(result, datetime.now(UTC)),
        )
    receipt = receipt_of(result, board)
    return BatchItem(
        status="replayed" if receipt.replayed else "held" if receipt.status == "held" else "awarded",
        action_identifier=identifier,
        receipt=receipt,
    )
