"""The audit trail, settings and live numbers, as operators read and change them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from .fields import END, NO_CONTROLS, ListQuery

Word = Annotated[str, Meta(min_length=1, max_length=128, pattern=NO_CONTROLS)]
Instant = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
        + END,
        examples=["2026-11-24T12:00:00Z"],
    ),
]
"""As text: what comes as a parameter would also be taken for a number of seconds."""


class AuditEntry(msgspec.Struct, frozen=True):
    """`actor` did `act` to `subject`. `before` and `after` are what was changed, as JSON."""

    id: int
    at: datetime
    actor: str
    act: str
    subject: str
    before: msgspec.Raw | None
    after: msgspec.Raw | None
    reason: str | None
    request_id: str | None


class AuditTrail(msgspec.Struct, frozen=True):
    entries: list[AuditEntry]
    next: str | None


class AuditQuery(ListQuery, frozen=True):
    """All that are given must fit."""

    actor: Annotated[Word, Meta(examples=["user:1"])] | None = None
    subject: Annotated[Word, Meta(examples=["action_type:lesson"])] | None = None
    act: Annotated[Word, Meta(examples=["action_type.edit"])] | None = None
    since: Annotated[Instant, Meta(description="Inclusive")] | None = None
    until: Annotated[Instant, Meta(description="Exclusive")] | None = None
