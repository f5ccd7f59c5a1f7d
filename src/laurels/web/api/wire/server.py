"""What servers send on behalf of users."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ....domain.standings import INT64_MAX
from .actions import MAX_BATCH, ActionInput
from .fields import NO_CONTROLS, AnyUsername, Request

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
