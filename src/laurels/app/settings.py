"""Settings that change while nodes run, and the audit trail of what operators changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from msgspec import structs

from ..domain.errors import Code, LaurelsError
from ..ledger.catalogue.live_settings import LiveSettings, meaning
from ..ledger.db.paging import Page
from ..ledger.events import audit
from ..ledger.events.audit import Actor, AuditFilter, AuditRecord
from .admin_context import AdminContext


@dataclass(frozen=True, slots=True)
class SettingInForce:
    """A setting: its value on every node, what the environment of this process says, and its bounds (inclusive)."""

    name: str
    value: int | bool
    default: int | bool
    overridden: bool
    least: int | None
    most: int | None
    meaning: str


def list_settings(context: AdminContext) -> list[SettingInForce]:
    """Return every setting as `context.settings` last read it."""
    store = context.settings
    values, defaults = structs.asdict(store.current), structs.asdict(store.defaults)
    return [_in_force(name, values[name], defaults[name], name in store.overridden) for name in values]


async def change_settings(
    context: AdminContext, changes: Mapping[str, int | bool | None], actor: Actor, reason: str | None
) -> list[SettingInForce]:
    """Override settings on every node, or with None take an override back; return all settings afterwards."""
    await context.settings.change(changes, actor, reason)
    return list_settings(context)


def parse_setting(name: str, text: str) -> int | bool:
    """Return the value that `text` gives a setting. Raises LaurelsError(INVALID_REQUEST)."""
    check_setting_name(name)
    try:
        return LiveSettings.parse(name, text)
    except msgspec.ValidationError as error:
        raise LaurelsError(Code.INVALID_REQUEST, f"{name}: {error}") from error


def check_setting_name(name: str) -> None:
    """Raise LaurelsError(INVALID_REQUEST) when there is no such setting."""
    if name not in LiveSettings.__struct_fields__:
        known = ", ".join(LiveSettings.__struct_fields__)
        raise LaurelsError(Code.INVALID_REQUEST, f"there is no setting {name!r}; there are {known}")


async def read_audit(context: AdminContext, wanted: AuditFilter, cursor: str | None, limit: int) -> Page[AuditRecord]:
    """Return a page of what operators did, newest first."""
    return await audit.entries(context.pool, wanted, cursor, limit)


def _in_force(name: str, value: int | bool, default: int | bool, overridden: bool) -> SettingInForce:
    text, least, most = meaning(name)
    return SettingInForce(name, value, default, overridden, least, most, text)
