"""Import users. An existing name is left alone; the line is bad if it differs in any column that it gives."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg

from ...domain.errors import LaurelsError
from ...domain.names import Name, parse_name
from ..db.pool import Connection, Pool, acquire
from ..events import audit
from ..events.audit import Actor
from ..events.journal import EVERY_NODE, announce
from ..write.sql import columns
from .comparing import difference, repeats_differently
from .records import BadRow, ImportTally, Line, UserRecord, out_of_range, stop_at_bad

_INSERT = """
INSERT INTO users (username, username_fold, username_skeleton, username_similar, email, role, status, password_hash,
                   external_issuer, external_subject, created_at)
SELECT n.username, n.fold, n.skeleton, n.alike, n.email, n.role, n.status, n.password_hash, n.issuer, n.subject,
       coalesce(n.created_at, now())
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::text[], $10::text[], $11::timestamptz[])
     WITH ORDINALITY AS n (username, fold, skeleton, alike, email, role, status, password_hash, issuer, subject,
                           created_at, position)
ORDER BY n.position
ON CONFLICT DO NOTHING
RETURNING id, username_fold"""
_KNOWN = """
SELECT username, username_fold, email, role, status, password_hash, external_issuer, external_subject, created_at
FROM users WHERE username_fold = ANY ($1::text[])"""
_OBSTACLES = """
SELECT EXISTS (SELECT FROM users u WHERE u.username_skeleton = n.skeleton),
       EXISTS (SELECT FROM users u WHERE lower(u.email) = lower(n.email)),
       EXISTS (SELECT FROM users u WHERE u.external_issuer = n.issuer AND u.external_subject = n.subject)
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
     WITH ORDINALITY AS n (skeleton, email, issuer, subject, position)
ORDER BY n.position"""

_NOT_COMPARED = frozenset({"username", "created_at"})
"""Columns that may differ. The stored name may be normalised differently. The creation time says nothing about
identity: every deployment creates the same admin at another time.
"""


@dataclass(frozen=True, slots=True)
class _UserItem:
    line: Line[UserRecord]
    name: Name


async def import_users(
    pool: Pool, lines: Sequence[Line[UserRecord]], actor: Actor, *, stop: bool = False
) -> ImportTally:
    """Add users in one transaction. A name that looks like another's, or an address that has an account, is a bad row.

    Names that are merely similar to an operator's are accepted: the importing operator is responsible for the file.
    Raises BatchStopped for a bad row if `stop` is set.
    """
    tally, now = ImportTally(), datetime.now(UTC) + timedelta(days=1)  # Clocks differ.
    named = [item for line in lines if (item := _named(line, now, tally)) is not None]
    async with acquire(pool) as connection, connection.transaction():
        rows = await connection.fetch(_KNOWN, [item.name.fold for item in named])
        known = {row["username_fold"]: row for row in rows}
        _count_known(named, known, tally)
        unknown = [item for item in named if item.name.fold not in known]
        first: dict[str, _UserItem] = {}
        for item in unknown:
            first.setdefault(item.name.fold, item)
        added = await _insert(connection, list(first.values()), actor)
        await _explain(connection, [item for item in first.values() if item.name.fold not in added], tally)
        tally.added = len(added)
        repeated = [item for item in unknown if item is not first[item.name.fold]]
        _count_repeated(repeated, first, added, tally)
        stop_at_bad(tally, stop=stop)
    return tally


def _named(line: Line[UserRecord], now: datetime, tally: ImportTally) -> _UserItem | None:
    why = out_of_range(now, line.record.created_at)
    if why is not None:
        tally.bad.append(BadRow(line.number, f"{line.record.username!r}: {why}"))
        return None
    try:
        return _UserItem(line, parse_name(line.record.username))
    except LaurelsError as error:
        tally.bad.append(BadRow(line.number, f"{line.record.username!r}: {error.detail}"))
        return None


def _count_known(named: Sequence[_UserItem], known: Mapping[str, asyncpg.Record], tally: ImportTally) -> None:
    for item in named:
        stored = known.get(item.name.fold)
        if stored is None:
            continue
        column = difference(item.line, dict(stored), _NOT_COMPARED)
        if item.name.display != stored["username"]:
            column = "username"
        if column is None:
            tally.present += 1
        else:
            why = f"{item.line.record.username!r} is there already and differs: {column}"
            tally.bad.append(BadRow(item.line.number, why))


def _count_repeated(
    repeated: Sequence[_UserItem], first: Mapping[str, _UserItem], added: Collection[str], tally: ImportTally
) -> None:
    for item in repeated:
        earlier = first[item.name.fold].line
        column = repeats_differently(item.line, earlier)
        if column is None and item.name.fold in added:
            tally.present += 1
            continue
        how = "which is bad" if column is None else f"but differs: {column}"
        why = f"{item.line.record.username!r} repeats line {earlier.number}, {how}"
        tally.bad.append(BadRow(item.line.number, why))


async def _insert(connection: Connection, fresh: Sequence[_UserItem], actor: Actor) -> set[str]:
    """Insert the users and return the folded names of those that were inserted."""
    if not fresh:
        return set()
    rows = await connection.fetch(_INSERT, *columns([_values(item.line.record, item.name) for item in fresh], 11))
    if rows:
        after = {"added": len(rows), "lines": [fresh[0].line.number, fresh[-1].line.number]}
        await audit.record(connection, actor, "import.users", "users", after=after)
        await announce(connection, EVERY_NODE, "users", [row["id"] for row in rows])
    return {row["username_fold"] for row in rows}


async def _explain(connection: Connection, taken: Sequence[_UserItem], tally: ImportTally) -> None:
    """Count each user that was not inserted as a bad row, with the conflict that prevented it."""
    if not taken:
        return
    keys = [
        (item.name.skeleton, r.email, r.external_issuer, r.external_subject)
        for item in taken
        for r in (item.line.record,)
    ]
    rows = await connection.fetch(_OBSTACLES, *columns(keys, 4))
    reasons = ("the name looks like another one", "the address has an account", "the external identity has an account")
    for item, row in zip(taken, rows, strict=True):
        why = ", ".join(reason for reason, found in zip(reasons, row.values(), strict=True) if found)
        tally.bad.append(BadRow(item.line.number, f"{item.line.record.username!r}: {why or 'it was taken meanwhile'}"))


def _values(r: UserRecord, name: Name) -> tuple[object, ...]:
    who = (name.display, name.fold, name.skeleton, name.similar, r.email, r.role, r.status)
    return (*who, r.password_hash, r.external_issuer, r.external_subject, r.created_at)
