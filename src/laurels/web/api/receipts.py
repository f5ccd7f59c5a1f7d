"""Reading a receipt again."""

from __future__ import annotations

from ...app import receipts
from ...app.context import ActionContext
from ...app.receipts import Receipt
from ...domain.errors import Code
from ..fields import Identifier, Request
from ..pipeline.call import Call
from ..pipeline.route import Route
from .codes import LEDGER_AWAY


class ReceiptQuery(Request, frozen=True):
    action_identifier: Identifier


async def get_receipt(context: ActionContext, call: Call) -> Receipt:
    """Answer with the receipt of an earlier action."""
    return await receipts.find_receipt(context, call.user.user_id, call.params.action_identifier)


RECEIPTS: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/receipts/{action_identifier}",
        handler=get_receipt,
        tag="Actions",
        summary="Get the receipt of one of my actions",
        access="user",
        limit="user",
        params=ReceiptQuery,
        replies={200: Receipt},
        problems=(Code.RECEIPT_UNKNOWN, *LEDGER_AWAY),
    ),
)
