"""Starting and completing actions as a user."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ...app.submissions import build_submission
from ...domain.actions import Submission
from ...domain.errors import Code, LaurelsError, Refusal
from ...domain.metadata import METADATA_BYTES, METADATA_DEPTH
from ...ledger.write.writer import Result
from ..http.responses import Reply, json_reply
from ..pipeline.call import Call
from ..pipeline.route import Route
from ..services import Services
from .codes import LEDGER_AWAY, VERDICTS, WRITE
from .fields import NO_CONTROLS, Request, SaidIdentifier, SaidTypeName, TypeName
from .receipts import BatchReceipt, Receipt, answer_batch, answer_one, raise_if_undecided

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


def _submission(call: Call, item: CompleteAction, path: str = "$") -> Submission:
    return submission_of(call.services, call.user.user_id, call.address, item, path)


def submission_of(services: Services, user_id: int, address: str, item: CompleteAction, path: str) -> Submission:
    """What a user's action is to the ledger, its ticket read. Raises LaurelsError INVALID_REQUEST or TICKET_INVALID."""
    ticket = None if item.ticket is None else services.ticket_signer.read(item.ticket)
    return build_submission(user_id, item, address, path, ticket=ticket)


async def complete_each(services: Services, submissions: Sequence[Submission]) -> list[Result]:
    """Complete actions that arrived together but have nothing to do with each other; each gets its own result."""
    try:
        return await services.writer.submit(submissions)
    except LaurelsError as refusal:
        return [refusal] * len(submissions)


ACTIONS: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/api/actions/start",
        handler=start_action,
        tag="Actions",
        summary="Start an action whose type asks for a ticket",
        description="The ticket goes with its completion. A type says in /api/action-types whether it asks for one.",
        access="user",
        limit="user",
        body=StartAction,
        replies={201: TicketInfo},
        problems=(
            Code.ACTION_TYPE_UNKNOWN,
            Code.ACTION_TYPE_INACTIVE,
            Code.TICKET_NOT_NEEDED,
            *LEDGER_AWAY,
        ),
    ),
    Route(
        method="POST",
        path="/api/actions/complete",
        handler=complete_action,
        tag="Actions",
        summary="Complete an action",
        description=(
            "Sends a fact; the server decides what it is worth. 201 is sent after COMMIT: the points are in the "
            "ledger, exactly once. The same action_identifier again answers 200 with the same receipt, so an "
            "unknown outcome (a lost reply, 503) is settled by sending it again."
        ),
        access="user",
        limit="user",
        body=CompleteAction,
        replies={201: Receipt, 200: Receipt},
        problems=(Code.IDENTIFIER_CONFLICT, *VERDICTS, *WRITE),
    ),
    Route(
        method="POST",
        path="/api/actions/batch",
        handler=complete_batch,
        tag="Actions",
        summary="Complete up to 1,000 actions at once",
        description="A result per item, in order. Refusals of single items are named there; their neighbours count. "
        "Where the ledger had no time for all of them the answer is 503: send the same again, each counts once.",
        access="user",
        limit="user",
        body=CompleteBatch,
        body_limit=1024 * 1024,
        replies={200: BatchReceipt},
        problems=WRITE,
    ),
)
