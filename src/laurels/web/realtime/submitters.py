"""Whom a socket speaks for, and how actions are completed in that name: a user's own, or those of a server's users.

`prepare` looks at one frame, at once: it counts against the limit of whoever speaks, and is refused there and then
when it can't be an action. `complete` has those that arrived together decided together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from ...app.submissions import build_submission
from ...domain.actions import Submission
from ...domain.errors import Code, LaurelsError
from ...ledger.accounts.directory import UserRef
from ...ledger.write.writer import Result
from ..api.actions import CompleteAction, complete_each, submission_of
from ..api.server import UserOf, nobody, user_ref
from ..limits.spending import spend
from ..services import Services


@dataclass(frozen=True, slots=True)
class UserSubmitter:
    services: Services
    user_id: int
    address: str

    def prepare(self, action: CompleteAction, user: UserOf | None) -> Submission:  # noqa: ARG002  as a server's
        """Raises LaurelsError BANNED, RATE_LIMITED, INVALID_REQUEST or TICKET_INVALID."""
        if self.user_id in self.services.directory.blocked:
            raise LaurelsError(Code.BANNED, "This account is banned.")
        spend(self.services.limits.user, self.user_id)
        return submission_of(self.services, self.user_id, self.address, action, "$.action")

    async def complete(self, prepared: Sequence[Submission]) -> list[Result]:
        return await complete_each(self.services, prepared)


@dataclass(frozen=True, slots=True)
class ServerSubmitter:
    """`key` is shown to the keyring again with each frame: one that was revoked or rotated away speaks no more."""

    services: Services
    key: str

    def prepare(self, action: CompleteAction, user: UserOf) -> tuple[UserRef, Submission]:
        """Raises LaurelsError API_KEY_INVALID, FORBIDDEN, RATE_LIMITED or INVALID_REQUEST."""
        spend(self.services.limits.key, self.services.authenticator.server_of_key(self.key).id)
        if action.ticket is not None:
            raise LaurelsError(Code.INVALID_REQUEST, "No ticket is asked of servers.", path="$.action.ticket")
        # No address: it would be that of the server, for all users alike.
        return user_ref(user, "$.user"), build_submission(0, action, None, "$.action", by_server=True)

    async def complete(self, prepared: Sequence[tuple[UserRef, Submission]]) -> list[Result]:
        try:
            users = await self.services.directory.resolve([ref for ref, _ in prepared])
        except LaurelsError as refusal:
            return [refusal] * len(prepared)
        named = [
            msgspec.structs.replace(one, user_id=user)
            for user, (_, one) in zip(users, prepared, strict=True)
            if user is not None
        ]
        decided = iter(await complete_each(self.services, named) if named else [])
        return [nobody("$") if user is None else next(decided) for user in users]


Submitter = UserSubmitter | ServerSubmitter
