"""For your app's server."""

from __future__ import annotations

from ....domain.errors import Code
from ...http.call import Route
from ..handlers import server
from ..wire.actions import BatchReceipt, Receipt
from ..wire.server import CompleteFor, CompleteForUsers
from .codes import VERDICTS, WRITE

SERVER: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/api/server/actions/complete",
        handler=server.complete_for_user,
        tag="Servers",
        summary="Complete an action on behalf of a user",
        description=(
            "As /api/actions/complete, vouched for by a key: types with the rule `issuer: server` count only here, "
            "and no ticket is asked for."
        ),
        access="server",
        limit="user",
        body=CompleteFor,
        replies={201: Receipt, 200: Receipt},
        problems=(Code.USER_UNKNOWN, Code.IDENTIFIER_CONFLICT, *VERDICTS, *WRITE),
    ),
    Route(
        method="POST",
        path="/api/server/actions/batch",
        handler=server.complete_for_users,
        tag="Servers",
        summary="Complete up to 1,000 actions of any users at once",
        description="A result per item, in order. Refusals of single items are named there; their neighbours count. "
        "Where the ledger had no time for all of them the answer is 503: send the same again, each counts once.",
        access="server",
        limit="user",
        body=CompleteForUsers,
        body_limit=1024 * 1024,
        replies={200: BatchReceipt},
        problems=WRITE,
    ),
)
