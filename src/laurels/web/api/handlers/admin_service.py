"""The audit trail, settings and live numbers."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import UNSET, structs

from .... import telemetry
from ....ledger.catalogue.live_settings import meaning
from ....ledger.events import audit
from ...http.call import Call
from ...http.decode import instant
from ..wire.admin_service import AuditEntry, AuditTrail, LiveSettingsList, Setting, Stats
from ..wire.fields import raw


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
    """What is measured anyway, read again: no query."""
    return Stats(
        actions_per_second=round(call.services.throughput.per_second(), 1),
        queue_depth=int(telemetry.value_of(telemetry.QUEUE_DEPTH)),
        sockets=int(telemetry.value_of(telemetry.SOCKETS)),
        journal_lag_seconds=telemetry.value_of(telemetry.JOURNAL_LAG),
        index_drift=int(telemetry.value_of(telemetry.INDEX_DRIFT)),
        members={
            sample.labels["board"]: int(sample.value)
            for metric in telemetry.INDEX_MEMBERS.collect()
            for sample in metric.samples
            if sample.labels["board"] in call.services.catalogue.boards
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
