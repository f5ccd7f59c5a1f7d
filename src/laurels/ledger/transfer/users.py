"""Users in. Who is there by that name is left alone."""

from __future__ import annotations

from collections.abc import Sequence

from ...domain.errors import LaurelsError
from ...domain.names import Name, parse_name
from .. import audit
from ..audit import Actor
from ..journal import NOBODY, announce
from ..pool import Connection, Pool, acquire
from ..sql import columns
from .records import BadRow, Tally, UserRecord

_INSERT = """
INSERT INTO users (username, username_fold, username_skeleton, email, role, status, password_hash,
                   external_issuer, external_subject, created_at)
SELECT n.username, n.fold, n.skeleton, n.email, n.role, n.status, n.password_hash, n.issuer, n.subject,
       coalesce(n.created_at, now())
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::text[], $10::timestamptz[])
     WITH ORDINALITY AS n (username, fold, skeleton, email, role, status, password_hash, issuer, subject, created_at,
                           position)
ORDER BY n.position
ON CONFLICT DO NOTHING
RETURNING id, username_fold"""
_KNOWN = "SELECT username_fold FROM users WHERE username_fold = ANY ($1::text[])"

Line = tuple[int, UserRecord]


async def import_users(pool: Pool, lines: Sequence[Line], actor: Actor) -> Tally:
    """One transaction. A name that looks like another's, or an address that has an account, is a bad row."""
    tally = Tally()
    named = [(line, record, name) for line, record in lines if (name := _name(line, record, tally)) is not None]
    async with acquire(pool) as connection, connection.transaction():
        folds = [name.fold for _, _, name in named]
        known = {row["username_fold"] for row in await connection.fetch(_KNOWN, folds)}
        fresh = [item for item in named if item[2].fold not in known]
        tally.present = len(named) - len(fresh)
        added = await _insert(connection, fresh, actor)
    taken = [item for item in fresh if item[2].fold not in added]
    tally.added = len(added)
    tally.bad += [
        BadRow(line, f"{record.username!r}: the name, one like it, or the address is taken")
        for line, record, _ in taken
    ]
    return tally


async def _insert(connection: Connection, fresh: Sequence[tuple[int, UserRecord, Name]], actor: Actor) -> set[str]:
    """The folded names of those that went in."""
    if not fresh:
        return set()
    rows = await connection.fetch(_INSERT, *columns([_values(record, name) for _, record, name in fresh], 10))
    if rows:
        after = {"added": len(rows), "lines": [fresh[0][0], fresh[-1][0]]}
        await audit.record(connection, actor, "import.users", "users", after=after)
        await announce(connection, NOBODY, "users", [row["id"] for row in rows])
    return {row["username_fold"] for row in rows}


def _name(line: int, record: UserRecord, tally: Tally) -> Name | None:
    try:
        return parse_name(record.username)
    except LaurelsError as error:
        tally.bad.append(BadRow(line, f"{record.username!r}: {error.detail}"))
        return None


def _values(r: UserRecord, name: Name) -> tuple[object, ...]:
    who = (name.display, name.fold, name.skeleton, r.email, r.role, r.status)
    return (*who, r.password_hash, r.external_issuer, r.external_subject, r.created_at)
