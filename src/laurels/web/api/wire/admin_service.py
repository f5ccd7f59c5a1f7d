"""The audit trail, settings and live numbers, as operators read and change them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType, structs

from ....ledger.catalogue.live_settings import LiveSettings
from .fields import END, NO_CONTROLS, ListQuery, Reason, Request

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


class Setting(msgspec.Struct, frozen=True):
    """`value` is in force; `default` is what this node's environment says."""

    name: str
    value: int | bool
    default: int | bool
    overridden: bool
    minimum: int | None
    maximum: int | None
    meaning: str


class LiveSettingsList(msgspec.Struct, frozen=True):
    settings: list[Setting]


EditSettings = msgspec.defstruct(
    "EditSettings",
    [
        *((item.name, item.type | UnsetType | None, UNSET) for item in structs.fields(LiveSettings)),
        ("reason", Reason | None, None),
    ],
    bases=(Request,),
    module=__name__,
    frozen=True,
    kw_only=True,
)
"""Members left out stay as they are; null takes an override back."""


class Stats(msgspec.Struct, frozen=True):
    """Of this node, now. `members` are the standings of each board; `actions_per_second` over the last ten seconds."""

    actions_per_second: float
    queue_depth: int
    sockets: int
    journal_lag_seconds: float
    index_drift: int
    members: dict[str, int]
