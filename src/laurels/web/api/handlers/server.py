"""What your app's server says on behalf of users: the same verdicts and receipts, vouched for by a key."""

from __future__ import annotations

from ....domain.actions import Submission
from ....domain.errors import Code, LaurelsError
from ....ledger.accounts.directory import UserRef
from ....ledger.write.writer import Result
from ...http.call import Call, Reply
from ...http.decode import submission
from ..wire.server import CompleteFor, UserOf
from .actions import answer_batch, answer_one, own, raise_if_undecided


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
        one = submission(user_id or 0, item, None, path, by_server=True)
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
