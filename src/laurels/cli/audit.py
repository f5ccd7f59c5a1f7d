"""The audit trail."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from cyclopts import App
from rich.markup import escape
from rich.table import Column, Table

from .flags import JsonFlag, Limit, examples
from .output import out, print_json

if TYPE_CHECKING:
    from ..ledger.events.audit import AuditRecord

audit_app = App(
    name="audit",
    help_epilogue=examples(
        "laurels audit", "laurels audit --subject user:12", "laurels audit --actor operator:ops --since 2026-11-01"
    ),
)


@audit_app.default
def audit(
    *,
    actor: str | None = None,
    subject: str | None = None,
    act: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: Limit = 50,
    json: JsonFlag = False,
) -> None:
    """List what operators changed, and why, newest first. Times without a zone are UTC.

    Parameters
    ----------
    actor
        user:ID, key:ID, operator:LOGIN or system.
    subject
        What was changed: user:ID, action_type:NAME, board:SLUG, settings, …
    act
        Such as user.ban or action_type.edit.
    """
    from ..app.settings import read_audit
    from ..ledger.events.audit import AuditFilter
    from .ledger import first_rows, read

    wanted = AuditFilter(actor, subject, act, _aware(since), _aware(until))
    records = read(lambda ledger: first_rows(lambda cursor, count: read_audit(ledger, wanted, cursor, count), limit))
    if json:
        print_json([_members(record) for record in records])
    else:
        _print(records)


def _print(records: list[AuditRecord]) -> None:
    # Cells fold rather than being cut: an instant or a subject that is cut can't be searched for.
    table = Table(Column("when (UTC)", no_wrap=True), "who", "act", "what", "why", "before → after")
    for column in table.columns:
        column.overflow = "fold"
    for record in records:
        change = " → ".join(text for text in (record.before, record.after) if text)
        cells = (record.actor, record.act, record.subject, record.reason, change)
        table.add_row(f"{record.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}", *(escape(text or "") for text in cells))
    out.print(table)


def _members(record: AuditRecord) -> dict[str, Any]:
    return {
        **msgspec.to_builtins(record),
        "before": None if record.before is None else msgspec.json.decode(record.before),
        "after": None if record.after is None else msgspec.json.decode(record.after),
    }


def _aware(instant: datetime | None) -> datetime | None:
    return instant if instant is None or instant.tzinfo else instant.replace(tzinfo=UTC)
