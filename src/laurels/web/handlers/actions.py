"""Completing actions, and the receipts that answer them."""

from __future__ import annotations

from ... import telemetry
from ...domain.boards import TOP_SIZE
from ...domain.errors import LaurelsError
from ...domain.judgement import Accepted
from ...ledger.writer import Answer, Result
from ..call import Call, Reply, json_reply
from ..decode import submission
from ..problems import retry_seconds, status_of
from ..wire.actions import ActionTypeInfo, ActionTypes, BatchItem, BatchReceipt, CompleteAction, Receipt


async def complete_action(call: Call) -> Reply:
    """201 with the receipt, 200 when the identifier was used before."""
    item: CompleteAction = call.body
    (result,) = await call.services.writer.submit([submission(call.user.user_id, item, call.address)])
    if isinstance(result, LaurelsError):
        raise _own(result)
    receipt = _receipt(result, call.services.catalogue.default_board.slug)
    return json_reply(receipt, 200 if receipt.replayed else 201)


async def complete_batch(call: Call) -> Reply:
    """Every item gets its own result; those that are awarded share one commit."""
    items: list[CompleteAction] = call.body.actions
    submissions = [
        submission(call.user.user_id, item, call.address, f"$.actions[{position}]")
        for position, item in enumerate(items)
    ]
    results = await call.services.writer.submit(submissions)
    _raise_if_undecided(results)
    board = call.services.catalogue.default_board.slug
    answered = [_batch_item(item, result, board) for item, result in zip(items, results, strict=True)]
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
    answer = Answer(Accepted(recorded, replayed=True), placements[recorded.action_id])
    return _receipt(answer, call.services.catalogue.default_board.slug)


async def list_action_types(call: Call) -> ActionTypes:
    kinds = call.services.catalogue.types.values()
    return ActionTypes(
        [ActionTypeInfo(kind.name, kind.description, kind.base_score) for kind in kinds if kind.is_active]
    )


def _receipt(answer: Answer, board: str) -> Receipt:
    action, placement = answer.accepted.action, answer.placement
    return Receipt(
        action_id=action.action_id,
        action_type=action.action_type,
        action_identifier=action.identifier,
        status=action.status,
        score_earned=action.counted,
        new_score=action.new_score,
        rank=placement.rank,
        previous_rank=placement.previous_rank,
        rank_state=placement.rank_state,
        entered_top=placement.entered(TOP_SIZE),
        board=board,
        seq=placement.seq,
        completed_at=action.completed_at,
        replayed=answer.accepted.replayed,
    )


def _batch_item(item: CompleteAction, result: Result, board: str) -> BatchItem:
    if isinstance(result, LaurelsError):
        telemetry.REFUSALS.labels(result.code.value).inc()
        return BatchItem(
            status="refused",
            action_identifier=item.action_identifier,
            code=result.code.value,
            detail=result.detail,
            retry_after=retry_seconds(result),
        )
    receipt = _receipt(result, board)
    return BatchItem(
        status="replayed" if receipt.replayed else "held" if receipt.status == "held" else "awarded",
        action_identifier=item.action_identifier,
        receipt=receipt,
    )


def _raise_if_undecided(results: list[Result]) -> None:
    """A ledger that is away, or a ban, refuses the request: it says nothing of the items."""
    for result in results:
        if isinstance(result, LaurelsError) and status_of(result.code) in (401, 403, 503):
            raise _own(result)


def _own(refusal: LaurelsError) -> LaurelsError:
    """The writer settles many requests with one refusal: each raise would lengthen its traceback."""
    return refusal.with_traceback(None)
