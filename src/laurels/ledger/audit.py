"""The audit trail: who changed what by hand, and why.

`record` runs inside the transaction of the change, so that there is never one without the other.
What is written holds ids, and the addresses of log-ins, never names or secrets: the trail outlives an erased user.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec

from .paging import Page, keys_of, page
from .pool import Connection, Pool, prompt

_WRITE = """
INSERT INTO audit (actor, act, subject, before, after, reason, request_id)
VALUES ($1, $2, $3, $4::jsonb, $5::jsonb, $6, $7)"""
LIST = """
SELECT id, at, actor, act, subject, before::text, after::text, reason, request_id FROM audit
WHERE ($1::bigint IS NULL OR id < $1)
  AND ($2::text IS NULL OR actor = $2) AND ($3::text IS NULL OR subject = $3) AND ($4::text IS NULL OR act = $4)
  AND ($5::timestamptz IS NULL OR at >= $5) AND ($6::timestamptz IS NULL OR at < $6)
ORDER BY id DESC LIMIT $7"""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: `user:ID`, `key:ID`, `operator:LOGIN` (the command line), `system`, or `anonymous` (a log-in that
    failed); and in which request.
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
        """Whether the command line acts, or the service itself."""
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
    """Write one act, such as `user.ban` on `user:12`. `before` and `after` are what msgspec can encode."""
    await connection.execute(_WRITE, actor.name, act, subject, _json(before), _json(after), reason, actor.request_id)


async def append(
    pool: Pool, actor: Actor, act: str, subject: str, *, after: object = None, reason: str | None = None
) -> None:
    """Write one act that changes nothing else."""
    async with prompt(pool) as connection:
        await record(connection, actor, act, subject, after=after, reason=reason)


def _json(value: object) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


@dataclass(frozen=True, slots=True)
class Entry:
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
class Sought:
    """Which acts: all that are given must fit. `since` is inclusive, `until` exclusive."""

    actor: str | None = None
    subject: str | None = None
    act: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def entries(pool: Pool, sought: Sought, cursor: str | None, limit: int) -> Page[Entry]:
    """Newest first."""
    (before,) = keys_of(cursor, int)
    async with prompt(pool) as connection:
        rows = await connection.fetch(
            LIST, before, sought.actor, sought.subject, sought.act, sought.since, sought.until, limit + 1
        )
    return page([Entry(*row.values()) for row in rows], limit, lambda entry: (entry.id,))
