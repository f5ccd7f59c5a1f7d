"""Completing actions."""

from __future__ import annotations

from ....domain.errors import Code
from ...http.call import Route
from ..handlers import actions
from ..wire.actions import (
    ActionTypes,
    BatchReceipt,
    CompleteAction,
    CompleteBatch,
    Receipt,
    ReceiptQuery,
    StartAction,
    TicketInfo,
)
from .codes import LEDGER_AWAY, VERDICTS, WRITE

ACTIONS: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/api/actions/start",
        handler=actions.start_action,
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
        handler=actions.complete_action,
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
        handler=actions.complete_batch,
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
    Route(
        method="GET",
        path="/api/receipts/{action_identifier}",
        handler=actions.get_receipt,
        tag="Actions",
        summary="The receipt of one of my actions",
        access="user",
        limit="user",
        params=ReceiptQuery,
        replies={200: Receipt},
        problems=(Code.RECEIPT_UNKNOWN, *LEDGER_AWAY),
    ),
    Route(
        method="GET",
        path="/api/action-types",
        handler=actions.list_action_types,
        tag="Actions",
        summary="What can be completed",
        replies={200: ActionTypes},
    ),
)
