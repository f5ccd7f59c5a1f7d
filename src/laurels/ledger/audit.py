"""The audit trail: who changed what by hand, and why.

`record` runs inside the transaction of the change, so that there is never one without the other.
What is written holds ids, never names, addresses or secrets: the trail outlives an erased user.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from .pool import Connection

_WRITE = """
INSERT INTO audit (actor, act, subject, before, after, reason, request_id)
VALUES ($1, $2, $3, $4::jsonb, $5::jsonb, $6, $7)"""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: `user:ID`, `key:ID`, `operator:LOGIN` (the command line), or `system`; and in which request."""

    name: str
    request_id: str | None = None


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


def _json(value: object) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()
