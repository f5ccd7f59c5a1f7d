"""The audit trail: changes by hand, who made them, and why.

`record` runs inside the transaction of the change, so that neither exists without the other. Entries hold ids, and
the addresses of log-ins, never names or secrets: the trail outlives an erased user.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec

from ..db.paging import Page, keys_of, page
from ..db.pool import Connection, Pool, acquire_within

_WRITE = """
INSERT INTO audit (actor, act, subject, before, after, reason, request_id)
VALUES ($1, $2, $3, $4::jsonb, $5::jsonb, $6, $7)"""
_LIST = """
SELECT id, at, actor, act, subject, before::text, after::text, reason, request_id FROM audit
WHERE id < coalesce($1::bigint, 9223372036854775807) AND {filters}
  AND ($5::timestamptz IS NULL OR at >= $5) AND ($6::timestamptz IS NULL OR at < $6)
ORDER BY {order} id DESC LIMIT $7"""
_SOUGHT = {"subject": 3, "actor": 2, "act": 4}
"""Filters, the most selective first, with their parameters; each has an index."""


def _list_by(leading: str | None) -> str:
    """Return the statement that lists entries by its leading filter, newest first.

    BETWEEN keeps the order by it usable; otherwise a planner may walk the primary key through all entries. The same
    column must not also be compared with `=`.
    """
    filters = " AND ".join(
        f"{name} BETWEEN ${n}::text AND ${n}" if name == leading else f"(${n}::text IS NULL OR {name} = ${n})"
        for name, n in _SOUGHT.items()
    )
    return _LIST.format(filters=filters, order="" if leading is None else f"{leading} DESC,")


LISTS = {leading: _list_by(leading) for leading in (None, *_SOUGHT)}


@dataclass(frozen=True, slots=True)
class Actor:
    """The acting party: `user:ID`, `key:ID`, `operator:LOGIN` (the command line), `system`, or `anonymous` (a failed
    log-in); and the id of the request.
    """

    name: str
    request_id: str | None = None

    @property
    def user_id(self) -> int | None:
        """The account of a person who acts."""
        return self._id("user")

    @property
    def key_id(self) -> int | None:
        """The API key of a server that acts."""
        return self._id("key")

    @property
    def is_machine(self) -> bool:
        """Return whether the command line acts, or the service itself."""
        return self.name == "system" or self.name.startswith("operator:")

    def _id(self, kind: str) -> int | None:
        found, _, number = self.name.partition(":")
        return int(number) if found == kind else None


SYSTEM = Actor("system")


async def record(
    connection: Connection,
    actor: Actor,
    act: str,
    subject: str,
    *,
    before: object = None,
    after: object = None,
    reason: str | None = None,
) -> None:
    """Record one act, such as `user.ban` on `user:12`. `before` and `after` are values that msgspec can encode."""
    await connection.execute(_WRITE, actor.name, act, subject, _json(before), _json(after), reason, actor.request_id)


async def append(
    pool: Pool, actor: Actor, act: str, subject: str, *, after: object = None, reason: str | None = None
) -> None:
    """Record one act that changes nothing else, in a transaction of its own."""
    async with acquire_within(pool) as connection:
        await record(connection, actor, act, subject, after=after, reason=reason)


def _json(value: object) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One act. `before` and `after` are JSON text."""

    id: int
    at: datetime
    actor: str
    act: str
    subject: str
    before: str | None
    after: str | None
    reason: str | None
    request_id: str | None


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Filters of a list of acts; all that are given must match. `since` is inclusive, `until` exclusive."""

    actor: str | None = None
    subject: str | None = None
    act: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def entries(pool: Pool, sought: AuditFilter, cursor: str | None, limit: int) -> Page[AuditRecord]:
    """List acts, newest first."""
    (before,) = keys_of(cursor, int)
    leading = next((name for name in _SOUGHT if getattr(sought, name) is not None), None)
    async with acquire_within(pool) as connection:
        rows = await connection.fetch(
            LISTS[leading], before, sought.actor, sought.subject, sought.act, sought.since, sought.until, limit + 1
        )
    return page([AuditRecord(*row.values()) for row in rows], limit, lambda entry: (entry.id,))
