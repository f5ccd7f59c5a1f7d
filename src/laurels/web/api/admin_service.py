"""The audit trail, live settings and statistics of a node."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType, structs

from ...ledger.catalogue.live_settings import LiveSettings, meaning
from ...ledger.events import audit
from ..fields import END, NO_CONTROLS, ListQuery, Reason, Request, raw
from ..http.decode import instant
from ..pipeline.call import Call
from ..pipeline.route import Route
from .codes import LEDGER_AWAY

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


async def list_audit(call: Call) -> AuditTrail:
    query = call.params
    since, until = instant(query.since, "$.since"), instant(query.until, "$.until")
    sought = audit.AuditFilter(query.actor, query.subject, query.act, since, until)
    found = await audit.entries(call.services.pool, sought, query.cursor, query.limit)
    return AuditTrail([_entry(entry) for entry in found.rows], found.next)


async def list_settings(call: Call) -> LiveSettingsList:
    store = call.services.live_settings
    values, defaults = structs.asdict(store.current), structs.asdict(store.defaults)
    return LiveSettingsList([_setting(name, values, defaults, name in store.overridden) for name in values])


async def edit_settings(call: Call) -> LiveSettingsList:
    sent = structs.asdict(call.body)
    reason = sent.pop("reason")
    changes = {name: value for name, value in sent.items() if value is not UNSET}
    await call.services.live_settings.change(changes, call.actor, reason)
    return await list_settings(call)


async def get_stats(call: Call) -> Stats:
    """Return what this node knows of its own load, without a query."""
    services = call.services
    return Stats(
        actions_per_second=round(services.throughput.per_second(), 1),
        queue_depth=services.writer.queued,
        sockets=len(services.hub),
        journal_lag_seconds=services.status.journal_lag_seconds,
        index_drift=services.status.index_drift,
        members={
            board: members
            for board, members in services.projection.members.items()
            if board in services.catalogue.boards
        },
    )


def _setting(name: str, values: Mapping[str, int], defaults: Mapping[str, int], overridden: bool) -> Setting:
    words, least, most = meaning(name)
    return Setting(name, values[name], defaults[name], overridden, least, most, words)


def _entry(entry: audit.AuditRecord) -> AuditEntry:
    return AuditEntry(
        entry.id,
        entry.at,
        entry.actor,
        entry.act,
        entry.subject,
        raw(entry.before),
        raw(entry.after),
        entry.reason,
        entry.request_id,
    )


_TAG = "Admin: service"

ADMIN_SERVICE: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/admin/audit",
        handler=list_audit,
        tag=_TAG,
        summary="Who changed what by hand, and why",
        description="Newest first. The trail is append only, and keeps ids, never names.",
        access="admin",
        limit="user",
        params=AuditQuery,
        replies={200: AuditTrail},
        problems=LEDGER_AWAY,
    ),
    Route(
        method="GET",
        path="/api/admin/settings",
        handler=list_settings,
        tag=_TAG,
        summary="Settings that may change while nodes run",
        access="admin",
        limit="user",
        replies={200: LiveSettingsList},
    ),
    Route(
        method="PATCH",
        path="/api/admin/settings",
        handler=edit_settings,
        tag=_TAG,
        summary="Change settings on every node",
        description=(
            "Followed within a second. Members left out stay as they are, null takes an override back: the "
            "environment of each node counts again. Of two who change the same setting the later one wins."
        ),
        access="admin",
        scope="settings:write",
        limit="user",
        body=EditSettings,
        replies={200: LiveSettingsList},
        problems=LEDGER_AWAY,
    ),
    Route(
        method="GET",
        path="/api/admin/stats",
        handler=get_stats,
        tag=_TAG,
        summary="This node's live numbers",
        access="moderator",
        limit="user",
        replies={200: Stats},
    ),
)
