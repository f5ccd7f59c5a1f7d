"""Requests that arrive over HTTP and over the WebSocket: an action, and the user on whose behalf a server sends one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta

from ..domain.metadata import METADATA_BYTES, METADATA_DEPTH
from ..domain.standings import INT64_MAX
from ..ledger.accounts.directory import UserRef
from .fields import NO_CONTROLS, AnyUsername, Request, UncheckedIdentifier, UncheckedTypeName

MAX_BATCH = 1_000


class ActionInput(Request, frozen=True):
    """`completed_at` is when it happened by the sender's clock; it defaults to the ledger's clock."""

    action_type: UncheckedTypeName
    action_identifier: UncheckedIdentifier
    metadata: (
        Annotated[
            dict[str, Any],
            Meta(description=f"At most {METADATA_BYTES} bytes as JSON, {METADATA_DEPTH} levels, integers of 64 bits"),
        ]
        | None
    ) = None
    completed_at: Annotated[datetime, Meta(tz=True)] | None = None


class CompleteAction(ActionInput, frozen=True):
    """`completed_at` is when it happened by the sender's clock; it defaults to the ledger's clock.

    `ticket` is the one that /api/actions/start returned, for types that require one.
    """

    ticket: Annotated[str, Meta(min_length=1, max_length=1_024, pattern=NO_CONTROLS)] | None = None


Issuer = Annotated[str, Meta(min_length=1, max_length=512, pattern=NO_CONTROLS)]
Subject = Annotated[str, Meta(min_length=1, max_length=255, pattern=NO_CONTROLS)]


class UserOf(Request, frozen=True):
    """One of: `id`; `username`, case-insensitive; `issuer` and `subject`, as in the tokens of your own log-in."""

    id: Annotated[int, Meta(ge=1, le=INT64_MAX)] | None = None
    username: AnyUsername | None = None
    issuer: Issuer | None = None
    subject: Subject | None = None

    def ref(self) -> UserRef:
        """Return the reference by which the ledger looks the user up."""
        return UserRef(self.id, self.username, self.issuer, self.subject)
