"""The audit trail, live settings and statistics of a node."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType, structs

from ...app import settings
from ...app.admin_context import AdminContext
from ...app.settings import SettingInForce
from ...ledger.catalogue.live_settings import LiveSettings
from ...ledger.events.audit import AuditFilter, AuditRecord
from ..context import StatsContext
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
"""As text: msgspec would also accept a query parameter as a number of seconds."""


class AuditEntry(msgspec.Struct, frozen=True):
    """`actor` did `act` to `subject`. `before` and `after` are the changed members as JSON."""

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
    """All given filters must match."""

    actor: Annotated[Word, Meta(examples=["user:1"])] | None = None
    subject: Annotated[Word, Meta(examples=["action_type:lesson"])] | None = None
    act: Annotated[Word, Meta(examples=["action_type.edit"])] | None = None
    since: Annotated[Instant, Meta(description="Inclusive")] | None = None
    until: Annotated[Instant, Meta(description="Exclusive")] | None = None


class Setting(msgspec.Struct, frozen=True):
    """`value` is in force; `default` is the value from this node's environment."""

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
"""Members left out stay unchanged; null removes an override."""


class Stats(msgspec.Struct, frozen=True):
    """Numbers of this node now. `members`: standings of each board; `actions_per_second`: over the last ten seconds."""

    actions_per_second: float
    queue_depth: int
    sockets: int
    journal_lag_seconds: float
    index_drift: int
    members: dict[str, int]


async def list_audit(context: AdminContext, call: Call) -> AuditTrail:
    """Return a page of what operators did, newest first."""
    query = call.params
    since, until = instant(query.since, "$.since"), instant(query.until, "$.until")
    wanted = AuditFilter(query.actor, query.subject, query.act, since, until)
    found = await settings.read_audit(context, wanted, query.cursor, query.limit)
    return AuditTrail([_entry(record) for record in found.rows], found.next)


async def list_settings(context: AdminContext, _: Call) -> LiveSettingsList:
    """Return every setting that changes while nodes run."""
    return _settings(settings.list_settings(context))


async def edit_settings(context: AdminContext, call: Call) -> LiveSettingsList:
    """Override the settings that were sent; null removes an override."""
    sent = structs.asdict(call.body)
    reason = sent.pop("reason")
    changes = {name: value for name, value in sent.items() if value is not UNSET}
    return _settings(await settings.change_settings(context, changes, call.actor, reason))


async def get_stats(stats: StatsContext, _: Call) -> Stats:
    """Return what this node knows of its own load, without a query."""
    return Stats(
        actions_per_second=round(stats.throughput.per_second(), 1),
        queue_depth=stats.writer.queued,
        sockets=len(stats.hub),
        journal_lag_seconds=stats.status.journal_lag_seconds,
        index_drift=stats.status.index_drift,
        members={
            board: members for board, members in stats.projection.members.items() if board in stats.catalogue.boards
        },
    )


def _settings(in_force: list[SettingInForce]) -> LiveSettingsList:
    return LiveSettingsList(
        [
            Setting(one.name, one.value, one.default, one.overridden, one.least, one.most, one.meaning)
            for one in in_force
        ]
    )


def _entry(entry: AuditRecord) -> AuditEntry:
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
        summary="Read the audit trail: who changed what, and why",
        description="Newest first. The trail is append-only and stores ids, never names.",
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
        summary="List the settings that may change while nodes run",
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
            "Applied within a second. Members left out stay unchanged; null removes an override, so that the "
            "environment of each node applies again. The last of concurrent changes to a setting wins."
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
        summary="Get this node's live numbers",
        access="moderator",
        limit="user",
        replies={200: Stats},
    ),
)
