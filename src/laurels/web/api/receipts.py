"""Receipts: building them, and reading one again."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from ... import telemetry
from ...domain.boards import TOP_SIZE
from ...domain.errors import Code, LaurelsError
from ...domain.judgement import Accepted
from ...ledger.write.writer import DecidedAction, Result
from ..http.problems import retry_seconds, status_of
from ..http.responses import Reply, json_reply
from ..pipeline.call import Call
from ..pipeline.route import Route
from .codes import LEDGER_AWAY
from .fields import Identifier, Request


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


class ReceiptQuery(Request, frozen=True):
    action_identifier: Identifier


def answer_one(call: Call, result: Result) -> Reply:
    """The receipt of one action. Raises LaurelsError when it was refused."""
    if isinstance(result, LaurelsError):
        raise own(result)
    receipt = _receipt(result, call.services.catalogue.default_board.slug)
    return json_reply(receipt, 200 if receipt.replayed else 201)


def answer_batch(call: Call, identifiers: list[str], results: list[Result]) -> Reply:
    board = call.services.catalogue.default_board.slug
    answered = [batch_item(name, result, board) for name, result in zip(identifiers, results, strict=True)]
    statuses = [item.status for item in answered]
    return json_reply(
        BatchReceipt(
            statuses.count("awarded"),
            statuses.count("held"),
            statuses.count("replayed"),
            statuses.count("refused"),
            answered,
        )
    )


async def get_receipt(call: Call) -> Receipt:
    recorded = await call.services.readers.receipt(call.user.user_id, call.params.action_identifier)
    placements = await call.services.receipts.find([recorded])
    answer = DecidedAction(Accepted(recorded, replayed=True), placements[recorded.action_id])
    return _receipt(answer, call.services.catalogue.default_board.slug)


def _receipt(answer: DecidedAction, board: str) -> Receipt:
    action, placement = answer.accepted.action, answer.placement
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
        replayed=answer.accepted.replayed,
    )


def batch_item(identifier: str, result: Result, board: str) -> BatchItem:
    """What is said of one action among several. `board`: slug of the default board."""
    if isinstance(result, LaurelsError):
        telemetry.REFUSALS.labels(result.code.value).inc()
        return BatchItem(
            status="refused",
            action_identifier=identifier,
            code=result.code.value,
            detail=result.detail,
            retry_after=retry_seconds(result),
        )
    receipt = _receipt(result, board)
    return BatchItem(
        status="replayed" if receipt.replayed else "held" if receipt.status == "held" else "awarded",
        action_identifier=identifier,
        receipt=receipt,
    )


def raise_if_undecided(results: list[Result], *, statuses: tuple[int, ...]) -> None:
    """Refuse a request whose sender may not, or of which not all was decided: sent again, each item counts once.

    Raises the LaurelsError that leaves the most open.
    """
    undecided = [one for one in results if isinstance(one, LaurelsError) and status_of(one.code) in statuses]
    if not undecided:
        return
    worst = max(undecided, key=lambda refusal: _OPEN.index(refusal.code) if refusal.code in _OPEN else len(_OPEN))
    if len(undecided) == len(results) or worst.code not in _OPEN:
        raise own(worst)
    raise LaurelsError(
        worst.code,
        f"{len(results) - len(undecided)} of {len(results)} actions are decided. "
        "Send the same actions again: each counts once.",
        retry_after=worst.retry_after,
    )


_OPEN = (Code.OVERLOADED, Code.DATABASE_UNAVAILABLE, Code.OUTCOME_UNKNOWN)
"""What leaves an item undecided; the later ones leave more open."""


def own(refusal: LaurelsError) -> LaurelsError:
    """The writer settles many requests with one refusal: each raise would lengthen its traceback."""
    return refusal.with_traceback(None)


RECEIPTS: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/receipts/{action_identifier}",
        handler=get_receipt,
        tag="Actions",
        summary="The receipt of one of my actions",
        access="user",
        limit="user",
        params=ReceiptQuery,
        replies={200: Receipt},
        problems=(Code.RECEIPT_UNKNOWN, *LEDGER_AWAY),
    ),
)
