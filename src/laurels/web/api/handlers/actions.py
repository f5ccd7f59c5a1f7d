"""Completing actions, and the receipts that answer them."""

from __future__ import annotations

from collections.abc import Sequence

from .... import telemetry
from ....concurrency.read_through import Loaded
from ....domain.actions import ActionType, Submission
from ....domain.boards import TOP_SIZE
from ....domain.errors import Code, LaurelsError, Refusal
from ....domain.judgement import Accepted
from ....ledger.write.writer import DecidedAction, Result
from ...http.call import Call, Reply, encode, json_reply
from ...http.decode import submission
from ...http.problems import retry_seconds, status_of
from ...services import Services
from ..wire.actions import (
    ActionTypeInfo,
    ActionTypes,
    BatchItem,
    BatchReceipt,
    CompleteAction,
    Receipt,
    TicketInfo,
    TicketTimes,
)


async def start_action(call: Call) -> Reply:
    """201 with a ticket; starting is not noted anywhere, so any number may be started."""
    services, name = call.services, call.body.action_type
    kind = services.catalogue.types.get(name)
    if kind is None:
        raise Refusal(Code.ACTION_TYPE_UNKNOWN, f"There is no action type {name!r}.")
    if not kind.is_active:
        raise Refusal(Code.ACTION_TYPE_INACTIVE, f"{name!r} is not active at present.")
    if kind.rules.ticket is None:
        raise Refusal(Code.TICKET_NOT_NEEDED, f"{name!r} asks for no ticket: just complete it.")
    now = await services.readers.clock()
    text, grant, challenge = services.ticket_signer.issue(call.user.user_id, name, kind.rules.ticket, now)
    return json_reply(
        TicketInfo(text, name, challenge, grant.started_at, grant.not_before, grant.expires_at),
        201,
    )


async def complete_action(call: Call) -> Reply:
    """201 with the receipt, 200 when the identifier was used before."""
    (result,) = await call.services.writer.submit([_submission(call, call.body)])
    return answer_one(call, result)


async def complete_batch(call: Call) -> Reply:
    """Every item gets its own result; they share one commit, or a few where one would take too long."""
    items: list[CompleteAction] = call.body.actions
    submissions = [_submission(call, item, f"$.actions[{position}]") for position, item in enumerate(items)]
    results = await call.services.writer.submit(submissions)
    raise_if_undecided(results, statuses=(401, 403, 503))
    return answer_batch(call, [item.action_identifier for item in items], results)


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


def _submission(call: Call, item: CompleteAction, path: str = "$") -> Submission:
    return submission_of(call.services, call.user.user_id, call.address, item, path)


def submission_of(services: Services, user_id: int, address: str, item: CompleteAction, path: str) -> Submission:
    """What a user's action is to the ledger, its ticket read. Raises LaurelsError INVALID_REQUEST or TICKET_INVALID."""
    ticket = None if item.ticket is None else services.ticket_signer.read(item.ticket)
    return submission(user_id, item, address, path, ticket=ticket)


async def complete_each(services: Services, submissions: Sequence[Submission]) -> list[Result]:
    """Complete actions that arrived together but have nothing to do with each other; each gets its own result."""
    try:
        return await services.writer.submit(submissions)
    except LaurelsError as refusal:
        return [refusal] * len(submissions)


async def get_receipt(call: Call) -> Receipt:
    recorded = await call.services.readers.receipt(call.user.user_id, call.params.action_identifier)
    placements = await call.services.receipts.find([recorded])
    answer = DecidedAction(Accepted(recorded, replayed=True), placements[recorded.action_id])
    return _receipt(answer, call.services.catalogue.default_board.slug)


async def list_action_types(call: Call) -> Reply:
    services = call.services

    async def load() -> Loaded[bytes]:
        kinds = [_type_info(kind) for kind in services.catalogue.types.values() if kind.is_active]
        return services.catalogue.generation, encode(ActionTypes(kinds))

    return Reply(await services.ready_types.get("active", services.catalogue.generation, load))


def _type_info(kind: ActionType) -> ActionTypeInfo:
    rule = kind.rules.ticket
    times = None if rule is None else TicketTimes(rule.min_seconds, rule.max_seconds)
    return ActionTypeInfo(
        kind.name, kind.description, kind.base_score, kind.rules.issuer == "server", times, kind.rules.metadata
    )


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
