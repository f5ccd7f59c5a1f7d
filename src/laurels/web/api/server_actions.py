"""Completions that an app's server sends on behalf of its users, vouched for by an API key."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ...app import actions
from ...app.actions import ServerAction
from ...app.context import ActionContext
from ...app.receipts import BatchReceipt, Receipt
from ...domain.errors import Code
from ..fields import Request
from ..http.responses import Reply, json_reply
from ..inputs import MAX_BATCH, ActionInput, UserOf
from ..pipeline.call import Call
from ..pipeline.route import Route
from .codes import VERDICTS, WRITE


class CompleteFor(ActionInput, frozen=True, kw_only=True):
    """`action_identifier` is unique per user, no matter who sends it."""

    user: UserOf


class CompleteForUsers(Request, frozen=True):
    actions: Annotated[list[CompleteFor], Meta(min_length=1, max_length=MAX_BATCH)]


async def complete_for_user(context: ActionContext, call: Call) -> Reply:
    """Answer 201 with the receipt, or 200 when the user's identifier was used before."""
    receipt = await actions.complete_for_user(context, _prepare(call.body, "$"))
    return json_reply(receipt, 200 if receipt.replayed else 201)


async def complete_for_users(context: ActionContext, call: Call) -> BatchReceipt:
    """Answer with a result for each action, in order."""
    prepared = [_prepare(item, f"$.actions[{position}]") for position, item in enumerate(call.body.actions)]
    return await actions.complete_batch_for_users(context, prepared)


def _prepare(item: CompleteFor, path: str) -> ServerAction:
    return actions.prepare_for_user(item.user.ref(), item, path, f"{path}.user")


SERVER: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/api/server/actions/complete",
        handler=complete_for_user,
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
        handler=complete_for_users,
        tag="Servers",
        summary="Complete up to 1,000 actions of any users at once",
        description="Returns a result for each item, in order. A refused item does not affect the others. "
        "503: the ledger had no time for all of them; send the same batch again, each action counts once.",
        access="server",
        limit="user",
        body=CompleteForUsers,
        body_limit=1024 * 1024,
        replies={200: BatchReceipt},
        problems=WRITE,
    ),
)
