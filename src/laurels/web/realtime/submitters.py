"""Completing actions over a WebSocket, on behalf of a user or of the users of a server.

`prepare` checks one frame without I/O: it is counted against the sender's rate, and refused at once when it is not
an action. `complete` completes frames that arrived together in one go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...app import actions
from ...app.actions import ServerAction
from ...domain.actions import Submission
from ...domain.errors import Code, LaurelsError
from ...ledger.write.writer import Result
from ..context import LiveContext
from ..inputs import CompleteAction, UserOf
from ..limits.spending import spend


@dataclass(frozen=True, slots=True)
class UserSubmitter:
    """Completes a user's own actions."""

    context: LiveContext
    user_id: int
    address: str

    def prepare(self, action: CompleteAction, user: UserOf | None) -> Submission:  # noqa: ARG002  as for servers
        """Validate one frame. Raises LaurelsError BANNED, RATE_LIMITED or INVALID_REQUEST."""
        if self.user_id in self.context.actions.directory.blocked:
            raise LaurelsError(Code.BANNED, "This account is banned.")
        spend(self.context.limits.user, self.user_id)
        return actions.prepare(self.context.actions, self.user_id, self.address, action, "$.action")

    async def complete(self, prepared: Sequence[Submission]) -> list[Result]:
        """Return a result for each prepared action."""
        return await actions.complete_each(self.context.actions, prepared)


@dataclass(frozen=True, slots=True)
class ServerSubmitter:
    """Completes actions of a server's users. `key` is verified for each frame: it may be revoked meanwhile."""

    context: LiveContext
    key: str

    def prepare(self, action: CompleteAction, user: UserOf) -> ServerAction:
        """Validate one frame. Raises LaurelsError API_KEY_INVALID, FORBIDDEN, RATE_LIMITED or INVALID_REQUEST."""
        spend(self.context.limits.key, self.context.authenticator.server_of_key(self.key).id)
        if action.ticket is not None:
            raise LaurelsError(Code.INVALID_REQUEST, "Servers need no ticket.", path="$.action.ticket")
        return actions.prepare_for_user(user.ref(), action, "$.action", "$.user")

    async def complete(self, prepared: Sequence[ServerAction]) -> list[Result]:
        """Return a result for each prepared action."""
        return await actions.complete_each_for_users(self.context.actions, prepared)


Submitter = UserSubmitter | ServerSubmitter
