"""Starting and completing actions as a user."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ...app import actions
from ...app.actions import TicketInfo
from ...app.context import ActionContext
from ...app.receipts import BatchReceipt, Receipt
from ...domain.errors import Code
from ..fields import Request, TypeName
from ..http.responses import Reply, json_reply
from ..inputs import MAX_BATCH, CompleteAction
from ..pipeline.call import Call
from ..pipeline.route import Route
from .codes import LEDGER_AWAY, VERDICTS, WRITE


class StartAction(Request, frozen=True):
    action_type: TypeName


class CompleteBatch(Request, frozen=True):
    actions: Annotated[list[CompleteAction], Meta(min_length=1, max_length=MAX_BATCH)]


async def start_action(context: ActionContext, call: Call) -> Reply:
    """Answer 201 with a ticket."""
    return json_reply(await actions.start(context, call.user.user_id, call.body.action_type), 201)


async def complete_action(context: ActionContext, call: Call) -> Reply:
    """Answer 201 with the receipt, or 200 when the identifier was used before."""
    submission = actions.prepare(context, call.user.user_id, call.address, call.body)
    receipt = await actions.complete(context, submission)
    return json_reply(receipt, 200 if receipt.replayed else 201)


async def complete_batch(context: ActionContext, call: Call) -> BatchReceipt:
    """Answer with a result for each action, in order."""
    user_id, address, items = call.user.user_id, call.address, call.body.actions
    submissions = [
        actions.prepare(context, user_id, address, item, f"$.actions[{position}]")
        for position, item in enumerate(items)
    ]
    return await actions.complete_batch(context, submissions)


ACTIONS: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/api/actions/start",
        handler=start_action,
        tag="Actions",
        summary="Start an action whose type requires a ticket",
        description="Send the ticket with the completion. /api/action-types says which types require one.",
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
            "You send a fact; the server decides what it is worth. 201 is sent after COMMIT: the points are in the "
            "ledger, exactly once. The same action_identifier again returns 200 with the same receipt, so after an "
            "unknown outcome (a lost reply, 503) send it again."
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
        description="Returns a result for each item, in order. A refused item does not affect the others. "
        "503: the ledger had no time for all of them; send the same batch again, each action counts once.",
        access="user",
        limit="user",
        body=CompleteBatch,
        body_limit=1024 * 1024,
        replies={200: BatchReceipt},
        problems=WRITE,
    ),
)
