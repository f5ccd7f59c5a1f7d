"""Settings that may change while nodes run: the ledger's override the environment's, on every node.

Each node starts with the values of its environment and follows the overrides through the journal, within a second.
Every setting is one scalar: of two operators the later one wins, and the audit trail has both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, get_args, get_type_hints
from uuid import UUID

import msgspec
import structlog
from msgspec import Meta, structs

from ..authorization import authorize_change
from ..db.pool import Connection, Pool, acquire_within
from ..events import audit
from ..events.audit import Actor
from ..events.journal import announce

log = structlog.get_logger(__name__)

_READ = "SELECT name, value::text FROM settings"
_PUT = """
INSERT INTO settings (name, value) VALUES ($1, $2::jsonb)
ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value, updated_at = clock_timestamp()"""
_DROP = "DELETE FROM settings WHERE name = $1"
_LOCK = "LOCK TABLE settings IN SHARE ROW EXCLUSIVE MODE"

Hold = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Rate = Annotated[int, Meta(ge=1, le=10_000_000)]


class LiveSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings. A new one needs a member here, and a listener in `node.py`."""

    user_rate: Annotated[Rate, Meta(description="actions and requests per minute and user")]
    key_rate: Annotated[Rate, Meta(description="actions and requests per minute and API key")]
    address_rate: Annotated[Rate, Meta(description="requests per minute and address")]
    login_rate: Annotated[Rate, Meta(description="registrations and log-ins per minute and address")]
    frames_per_second: Annotated[int, Meta(ge=1, le=60, description="live frames a second and board")]
    hold_user_rate: Annotated[
        Hold, Meta(description="actions per minute and user beyond which they are held; 0: never")
    ]
    hold_address_rate: Annotated[
        Hold, Meta(description="actions per minute and address beyond which they are held; 0: never")
    ]
    registration_open: Annotated[bool, Meta(description="whether anyone may register an account")] = True

    @classmethod
    def of(cls, environment: object) -> LiveSettings:
        """Return the defaults of a node: its environment's values where it has any."""
        names = cls.__struct_fields__
        return cls(**{name: getattr(environment, name) for name in names if hasattr(environment, name)})

    @classmethod
    def parse(cls, name: str, text: str) -> int | bool:
        """Parse one value. Raises msgspec.ValidationError."""
        parsed: int | bool = msgspec.convert(text, _kinds()[name], strict=False)
        return parsed


@cache
def _kinds() -> dict[str, Any]:
    return get_type_hints(LiveSettings, include_extras=True)


def meaning(name: str) -> tuple[str, int | None, int | None]:
    """Return (help text, minimum, maximum) of a setting as LiveSettings declares it."""
    found: dict[str, Any] = {}
    for note in get_args(_kinds()[name])[1:]:
        found |= {key: getattr(note, key) for key in ("description", "ge", "le") if getattr(note, key) is not None}
    return found["description"], found.get("ge"), found.get("le")


class SettingsStore:
    """`current` is in force; `listeners` are called when it changes. Call `refresh` before the first use."""

    def __init__(self, pool: Pool, defaults: LiveSettings, node: UUID) -> None:
        self._pool = pool
        self._node = node
        self.defaults = defaults
        self.current = defaults
        self.overridden: frozenset[str] = frozenset()
        self.listeners: list[Callable[[LiveSettings], None]] = []

    async def refresh(self) -> None:
        """Apply the overrides in the ledger."""
        async with acquire_within(self._pool) as connection:
            overrides = await _overrides(connection)
        self.overridden = frozenset(overrides)
        current = structs.replace(self.defaults, **overrides)
        if current != self.current:
            self.current = current
            for listener in self.listeners:
                listener(current)

    async def change(self, changes: Mapping[str, Any], actor: Actor, reason: str | None = None) -> None:
        """Override settings; None removes an override. `changes` are values of LiveSettings, already checked."""
        async with acquire_within(self._pool) as connection, connection.transaction():
            await authorize_change(connection, actor, "settings:write")
            await connection.execute(_LOCK)
            before = await _overrides(connection)
            after = {name: value for name, value in {**before, **changes}.items() if value is not None}
            if after != before:
                for name, value in changes.items():
                    await _write(connection, name, value)
                await audit.record(
                    connection, actor, "settings.edit", "settings", before=before, after=after, reason=reason
                )
                await announce(connection, self._node, "catalogue", [])
        await self.refresh()


async def _write(connection: Connection, name: str, value: object) -> None:
    if value is None:
        await connection.execute(_DROP, name)
    else:
        await connection.execute(_PUT, name, msgspec.json.encode(value).decode())


async def _overrides(connection: Connection) -> dict[str, Any]:
    """Return overrides that this version knows and that are within bounds; log and ignore the others."""
    found = {}
    for name, text in await connection.fetch(_READ):
        try:
            found[name] = msgspec.json.decode(text, type=_kinds()[name])
        except (KeyError, msgspec.DecodeError) as error:
            log.warning("setting in the ledger ignored", setting=name, reason=str(error))
    return found
