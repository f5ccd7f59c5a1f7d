"""Completions that an app's server sends on behalf of its users."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ...app.submissions import build_submission
from ...domain.actions import Submission
from ...domain.errors import Code, LaurelsError
from ...domain.standings import INT64_MAX
from ...ledger.accounts.directory import UserRef
from ...ledger.write.writer import Result
from ..http.responses import Reply
from ..pipeline.call import Call
from ..pipeline.route import Route
from .actions import MAX_BATCH, ActionInput
from .codes import VERDICTS, WRITE
from .fields import NO_CONTROLS, AnyUsername, Request
from .receipts import BatchReceipt, Receipt, answer_batch, answer_one, own, raise_if_undecided

Issuer = Annotated[str, Meta(min_length=1, max_length=512, pattern=NO_CONTROLS)]
Subject = Annotated[str, Meta(min_length=1, max_length=255, pattern=NO_CONTROLS)]


class UserOf(Request, frozen=True):
    """One of: `id`; `username`, whatever its case; `issuer` and `subject`, as in the tokens of your own log-in."""

    id: Annotated[int, Meta(ge=1, le=INT64_MAX)] | None = None
    username: AnyUsername | None = None
    issuer: Issuer | None = None
    subject: Subject | None = None


class CompleteFor(ActionInput, frozen=True, kw_only=True):
    """`action_identifier` is unique per user, whoever sends it."""

    user: UserOf


class CompleteForUsers(Request, frozen=True):
    actions: Annotated[list[CompleteFor], Meta(min_length=1, max_length=MAX_BATCH)]


async def complete_for_user(call: Call) -> Reply:
    """201 with the receipt, 200 when the user's identifier was used before."""
    (result,) = await _complete(call, [call.body], ["$"])
    return answer_one(call, result)


async def complete_for_users(call: Call) -> Reply:
    """Every item gets its own result; a user who is banned or not there refuses the item alone."""
    items: list[CompleteFor] = call.body.actions
    results = await _complete(call, items, [f"$.actions[{position}]" for position in range(len(items))])
    raise_if_undecided(results, statuses=(503,))
    return answer_batch(call, [item.action_identifier for item in items], results)


async def _complete(call: Call, items: list[CompleteFor], paths: list[str]) -> list[Result]:
    wanted = [user_ref(item.user, f"{path}.user") for item, path in zip(items, paths, strict=True)]
    users = await call.services.directory.resolve(wanted)
    submissions: list[Submission] = []
    results: list[Result | None] = []
    for item, path, user_id in zip(items, paths, users, strict=True):
        # No address: it would be that of the server, for all users alike.
        one = build_submission(user_id or 0, item, None, path, by_server=True)
        if user_id is not None:
            submissions.append(one)
        results.append(nobody(path) if user_id is None else None)
    decided = iter(await call.services.writer.submit(submissions) if submissions else [])
    return [next(decided) if result is None else result for result in results]


def user_ref(user: UserOf, path: str) -> UserRef:
    """Raises LaurelsError(INVALID_REQUEST)."""
    given = (user.id is not None, user.username is not None, user.subject is not None)
    if sum(given) != 1 or (user.issuer is None) == (user.subject is not None):
        raise LaurelsError(Code.INVALID_REQUEST, "Give id, or username, or issuer and subject.", path=path)
    return UserRef(user.id, user.username, user.issuer, user.subject)


def nobody(path: str) -> LaurelsError:
    return own(LaurelsError(Code.USER_UNKNOWN, "There is no such user.", path=f"{path}.user"))


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
