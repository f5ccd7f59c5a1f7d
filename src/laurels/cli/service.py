"""The audit trail, and the settings that change while nodes run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number
from rich.markup import escape
from rich.table import Table

from .. import operations
from .app import JsonFlag, ReasonFlag, app, examples, run, settings, settings_app
from .output import out, print_json


@app.command(
    help_epilogue=examples(
        "laurels audit", "laurels audit --subject user:12", "laurels audit --actor operator:ops --since 2026-11-01"
    )
)
def audit(
    *,
    actor: str | None = None,
    subject: str | None = None,
    act: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: Annotated[int, Parameter(validator=Number(gte=1, lte=100_000))] = 50,
    json: JsonFlag = False,
) -> None:
    """Who changed what by hand, and why; newest first. Times without a zone are UTC.

    Parameters
    ----------
    actor
        user:ID, key:ID, operator:LOGIN or system.
    subject
        What was changed: user:ID, action_type:NAME, board:SLUG, settings, …
    act
        Such as user.ban or action_type.edit.
    """
    sought = operations.AuditFilter(actor, subject, act, _aware(since), _aware(until))
    entries = run(operations.read_audit(settings(), sought, limit))
    if json:
        print_json([_told(entry) for entry in entries])
        return
    table = Table("when", "who", "act", "what", "why", "before → after")
    for entry in entries:
        change = " → ".join(text for text in (entry.before, entry.after) if text)
        table.add_row(
            entry.at.isoformat(" ", "seconds"),
            *(escape(text or "") for text in (entry.actor, entry.act, entry.subject, entry.reason, change)),
        )
    out.print(table)


@settings_app.default
def settings_list(*, json: JsonFlag = False) -> None:
    """Settings that may change while nodes run: what is in force, and what this environment says."""
    _print_settings(run(operations.live_settings(settings())), json)


@settings_app.command(
    name="set",
    help_epilogue=examples(
        "laurels settings set login_rate 5 --reason 'password spraying'",
        "laurels settings set registration_open false",
    ),
)
def settings_set(name: str, value: str, *, reason: ReasonFlag = None, json: JsonFlag = False) -> None:
    """Override a setting on every node, within a second."""
    _print_settings(run(operations.set_live_setting(settings(), name, value, reason)), json)


@settings_app.command(name="unset", help_epilogue=examples("laurels settings unset login_rate"))
def settings_unset(name: str, *, reason: ReasonFlag = None, json: JsonFlag = False) -> None:
    """Take an override back: each node's environment counts again."""
    _print_settings(run(operations.set_live_setting(settings(), name, None, reason)), json)


def _print_settings(store: operations.SettingsStore, json: bool) -> None:
    current, defaults = msgspec.to_builtins(store.current), msgspec.to_builtins(store.defaults)
    if json:
        print_json(
            [
                {"name": name, "value": value, "default": defaults[name], "overridden": name in store.overridden}
                for name, value in current.items()
            ]
        )
        return
    table = Table("setting", "in force", "environment", "meaning")
    for name, value in current.items():
        shown = f"[bold]{value}[/]" if name in store.overridden else str(value)
        table.add_row(name, shown, str(defaults[name]), operations.meaning(name)[0])
    out.print(table)


def _told(entry: operations.AuditEntry) -> dict[str, Any]:
    return {
        **msgspec.to_builtins(entry),
        "before": None if entry.before is None else msgspec.json.decode(entry.before),
        "after": None if entry.after is None else msgspec.json.decode(entry.after),
    }


def _aware(instant: datetime | None) -> datetime | None:
    return instant if instant is None or instant.tzinfo else instant.replace(tzinfo=UTC)
