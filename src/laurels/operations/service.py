"""The audit trail, and the settings that change while nodes run."""

from __future__ import annotations

from uuid import uuid4

import msgspec

from ..config import Settings
from ..database import database
from ..ledger.catalogue.live_settings import LiveSettings, SettingsStore
from ..ledger.db.paging import MAX_PAGE
from ..ledger.events import audit
from .changes import changing
from .errors import CommandFailed
from .operator import operator


async def read_audit(settings: Settings, sought: audit.AuditFilter, limit: int) -> list[audit.AuditRecord]:
    """The newest `limit` acts."""
    found: list[audit.AuditRecord] = []
    cursor = None
    async with database(settings) as pool:
        while len(found) < limit:
            page = await audit.entries(pool, sought, cursor, min(MAX_PAGE, limit - len(found)))
            found += page.rows
            cursor = page.next
            if cursor is None:
                break
    return found


async def live_settings(settings: Settings) -> SettingsStore:
    """As they are in force on a node with this environment."""
    async with database(settings) as pool:
        store = SettingsStore(pool, LiveSettings.of(settings), uuid4())
        await store.refresh()
        return store


async def set_live_setting(settings: Settings, name: str, value: str | None, reason: str | None) -> SettingsStore:
    """`value` as text; None takes the override back. Raises NotDone for a setting or a value that can't be."""
    async with changing(settings) as pool:
        store = SettingsStore(pool, LiveSettings.of(settings), uuid4())
        await store.change({name: _parsed(name, value)}, operator(), reason)
        return store


def _parsed(name: str, value: str | None) -> int | bool | None:
    if name not in LiveSettings.__struct_fields__:
        known = ", ".join(LiveSettings.__struct_fields__)
        raise CommandFailed(f"there is no setting {name!r}; there are {known}")
    if value is None:
        return None
    try:
        return LiveSettings.parse(name, value)
    except msgspec.ValidationError as error:
        raise CommandFailed(f"{name}: {error}") from error
