"""The audit trail, settings and live numbers."""

from __future__ import annotations

from msgspec import Raw

from ...ledger import audit
from ..call import Call
from ..decode import instant
from ..wire.admin_service import AuditEntry, AuditTrail


async def list_audit(call: Call) -> AuditTrail:
    query = call.params
    since, until = instant(query.since, "$.since"), instant(query.until, "$.until")
    sought = audit.Sought(query.actor, query.subject, query.act, since, until)
    found = await audit.entries(call.services.pool, sought, query.cursor, query.limit)
    return AuditTrail([_entry(entry) for entry in found.rows], found.next)


def _entry(entry: audit.Entry) -> AuditEntry:
    return AuditEntry(
        entry.id,
        entry.at,
        entry.actor,
        entry.act,
        entry.subject,
        _raw(entry.before),
        _raw(entry.after),
        entry.reason,
        entry.request_id,
    )


def _raw(text: str | None) -> Raw | None:
    return None if text is None else Raw(text.encode())
