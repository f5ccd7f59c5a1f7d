"""Starting and completing actions, as a user or as a server on behalf of users.

Completing has two steps: preparing validates one action without I/O, completing hands prepared actions to the ledger.
A WebSocket needs both, because it refuses a bad frame at once and completes together what arrived together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import msgspec

from ..domain.actions import Submission, active_type
from ..domain.errors import Code, LaurelsError, Refusal
from ..ledger.accounts.directory import UserRef
from ..ledger.write.writer import Result
from .context import ActionContext
from .receipts import BatchReceipt, Receipt, batch_receipt, receipt_of
from .submissions import SentAction, build_submission

_UNDECIDED = (Code.OVERLOADED, Code.DATABASE_UNAVAILABLE, Code.OUTCOME_UNKNOWN)
"""Codes that leave an action undecided, ordered by how much they leave open."""
_CALLER_REFUSED = (Code.TOKEN_INVALID, Code.BANNED)
"""Codes that refuse the user, and so all of the user's actions."""


class TicketInfo(msgspec.Struct, frozen=True):
    """A `ticket` is valid for one award, from `not_before` until before `expires_at`, by the ledger's clock.

    `challenge` is random text inside the ticket, from which your app may derive the task.
    """

    ticket: str
    action_type: str
    challenge: str
    started_at: datetime
    not_before: datetime
    expires_at: datetime


class SentTicketedAction(SentAction, Protocol):
    """An action as a user sends it."""

    @property
    def ticket(self) -> str | None:
        """The ticket that starting the action returned."""


@dataclass(frozen=True, slots=True)
class ServerAction:
    """A prepared action of a server. The user is looked up when it is completed; `path` is for error messages."""

    user: UserRef
    submission: Submission
    path: str


async def start(context: ActionContext, user_id: int, name: str) -> TicketInfo:
    """Return a ticket for one action of this type. Nothing is stored, so any number may be started.

    Raises Refusal ACTION_TYPE_UNKNOWN, ACTION_TYPE_INACTIVE or TICKET_NOT_NEEDED.
    """
    kind = active_type(context.catalogue.types, name)
    if kind.rules.ticket is None:
        raise Refusal(Code.TICKET_NOT_NEEDED, f"{name!r} requires no ticket: just complete it.")
    now = await context.readers.clock()
    text, grant, challenge = context.tickets.issue(user_id, name, kind.rules.ticket, now)
    return TicketInfo(text, name, challenge, grant.started_at, grant.not_before, grant.expires_at)


def prepare(
    context: ActionContext, user_id: int, address: str, action: SentTicketedAction, path: str = "$"
) -> Submission:
    """Validate an action of a user. Raises LaurelsError(INVALID_REQUEST)."""
    ticket = None if action.ticket is None else context.tickets.read(action.ticket)
    return build_submission(user_id, action, address, path, ticket=ticket)


def prepare_for_user(user: UserRef, action: SentAction, path: str, user_path: str) -> ServerAction:
    """Validate an action that a server sends on behalf of `user`. Raises LaurelsError(INVALID_REQUEST)."""
    given = (user.id is not None, user.username is not None, user.subject is not None)
    if sum(given) != 1 or (user.issuer is None) == (user.subject is not None):
        raise LaurelsError(Code.INVALID_REQUEST, "Give id, or username, or issuer and subject.", path=user_path)
    # Without the address: it is the server's, the same for all users, and detectors look for that.
    return ServerAction(user, build_submission(0, action, None, path, by_server=True), user_path)


async def complete(context: ActionContext, submission: Submission) -> Receipt:
    """Return the receipt of one action after COMMIT. Raises the LaurelsError that refuses it."""
    (result,) = await context.writer.submit([submission])
    if isinstance(result, LaurelsError):
        raise _without_traceback(result)
    return receipt_of(result, context.catalogue.default_board.slug)


async def complete_batch(context: ActionContext, submissions: Sequence[Submission]) -> BatchReceipt:
    """Return a result for each action of one user, in order. They share one commit, or a few if it would take too long.

    Raises LaurelsError when the user is refused, or when not all actions were decided: sent again, each counts once.
    """
    results = await context.writer.submit(submissions)
    raise_if_undecided(results, refusing_all=_CALLER_REFUSED)
    names = [submission.identifier for submission in submissions]
    return batch_receipt(names, results, context.catalogue.default_board.slug)


async def complete_for_user(context: ActionContext, action: ServerAction) -> Receipt:
    """Return the receipt of one action of a server. Raises the LaurelsError that refuses it."""
    (result,) = await _complete_for_users(context, [action])
    if isinstance(result, LaurelsError):
        raise _without_traceback(result)
    return receipt_of(result, context.catalogue.default_board.slug)


async def complete_batch_for_users(context: ActionContext, actions: Sequence[ServerAction]) -> BatchReceipt:
    """Return a result for each action of a server, in order.

    An unknown or banned user costs only that user's own actions. Raises LaurelsError when not all actions were decided:
    sent again, each counts once.
    """
    results = await _complete_for_users(context, actions)
    raise_if_undecided(results)
    names = [action.submission.identifier for action in actions]
    return batch_receipt(names, results, context.catalogue.default_board.slug)


async def complete_each(context: ActionContext, submissions: Sequence[Submission]) -> list[Result]:
    """Return a result for each of several independent actions of one user.

    If the whole request fails, that failure is every action's result. Raises no LaurelsError.
    """
    try:
        return await context.writer.submit(submissions)
    except LaurelsError as refusal:
        return [refusal] * len(submissions)


async def complete_each_for_users(context: ActionContext, actions: Sequence[ServerAction]) -> list[Result]:
    """Return a result for each of several independent actions of a server, as `complete_each` does."""
    try:
        return await _complete_for_users(context, actions)
    except LaurelsError as refusal:
        return [refusal] * len(actions)


async def _complete_for_users(context: ActionContext, actions: Sequence[ServerAction]) -> list[Result]:
    users = await context.directory.resolve([action.user for action in actions])
    submissions = [
        msgspec.structs.replace(action.submission, user_id=user_id)
        for action, user_id in zip(actions, users, strict=True)
        if user_id is not None
    ]
    decided = iter(await context.writer.submit(submissions) if submissions else [])
    return [
        _user_unknown(action.path) if user_id is None else next(decided)
        for action, user_id in zip(actions, users, strict=True)
    ]


def raise_if_undecided(results: Sequence[Result], *, refusing_all: Sequence[Code] = ()) -> None:
    """Refuse a request of which not every action was decided. Sent again, each action counts once.

    Raises LaurelsError with the code that leaves the most open; any of `refusing_all` takes precedence.
    """
    undecided = [
        one for one in results if isinstance(one, LaurelsError) and (one.code in _UNDECIDED or one.code in refusing_all)
    ]
    if not undecided:
        return
    worst = max(undecided, key=_openness)
    if len(undecided) == len(results) or worst.code not in _UNDECIDED:
        raise _without_traceback(worst)
    raise LaurelsError(
        worst.code,
        f"{len(results) - len(undecided)} of {len(results)} actions are decided. "
        "Send the same actions again: each counts once.",
        retry_after=worst.retry_after,
    )


def _openness(refusal: LaurelsError) -> int:
    return _UNDECIDED.index(refusal.code) if refusal.code in _UNDECIDED else len(_UNDECIDED)


def _user_unknown(path: str) -> LaurelsError:
    return LaurelsError(Code.USER_UNKNOWN, "There is no such user.", path=path)


def _without_traceback(refusal: LaurelsError) -> LaurelsError:
    """Return a refusal without its traceback: the writer shares one among requests, and each raise would extend it."""
    return refusal.with_traceback(None)
