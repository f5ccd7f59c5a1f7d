"""Import rows of the ledger: insert them in batches, and note their users in `pending_refolds`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg
import msgspec

from ...domain.actions import Submission
from ...domain.boards import Board
from ...domain.calendars import span_at
from ...domain.errors import LaurelsError, Refusal
from ...domain.judgement import claimed_value
from ...domain.metadata import canonical_metadata
from ...domain.names import fold_name
from ...domain.standings import Standing, fold
from ..catalogue.catalogue import Catalogue
from ..db import action_ids
from ..db.pool import Connection, Pool, acquire
from ..events import audit
from ..events.audit import Actor
from ..write.sql import columns
from .comparing import difference, repeats_differently
from .records import BadRow, ImportTally, LedgerRecord, Line, out_of_range, stop_at_bad

_USERS = "SELECT username_fold, id FROM users WHERE username_fold = ANY ($1::text[])"
_STORED = """a.id, a.action_type_id, t.name AS action_type, a.score_earned, a.status,
       a.metadata::text AS metadata, a.reason, a.new_score, a.fingerprint, a.completed_at, a.created_at,
       v.code AS held_code, v.detail AS held_detail"""
_BESIDE = """LEFT JOIN action_types t ON t.id = a.action_type_id
LEFT JOIN reviews v ON v.action_id = a.id AND a.status = 'held'"""
# LATERAL with a LIMIT and a constant kind: one look-up per line in the unique index of that kind. A join on
# user_id would read all rows of each user, for every line.
NAMED = {
    kind: f"""
SELECT k.n, {_STORED}
FROM unnest($1::int[], $2::bigint[], $3::text[]) AS k (n, user_id, identifier)
CROSS JOIN LATERAL (
    SELECT * FROM actions c
    WHERE c.user_id = k.user_id AND c.action_identifier = k.identifier AND c.kind = '{kind}' LIMIT 1) a
{_BESIDE}"""
    for kind in ("completion", "adjustment")
}
REVERSALS = f"""
SELECT a.reverses, {_STORED}
FROM unnest($1::bigint[]) AS k (id)
CROSS JOIN LATERAL (SELECT * FROM actions c WHERE c.reverses = k.id LIMIT 1) a
{_BESIDE}"""
# ANY, so that the order by user_id means something: with `=` the planner drops it and walks the primary key
# backwards when it believes that every user has many rows, to its end for each user without one.
LAST_SCORES = """
SELECT u.id, l.new_score FROM unnest($1::bigint[]) AS u (id)
CROSS JOIN LATERAL (
    SELECT new_score FROM actions a WHERE a.user_id = ANY (ARRAY[u.id]) ORDER BY a.user_id, a.id DESC LIMIT 1) l"""
_INSERT = """
INSERT INTO actions (id, user_id, kind, action_type_id, action_identifier, reverses, status, score_earned, new_score,
                     metadata, reason, fingerprint, completed_at, created_at, batch_id)
SELECT n.*, $15::bigint
FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::int[], $5::text[], $6::bigint[], $7::text[], $8::bigint[],
            $9::bigint[], $10::jsonb[], $11::text[], $12::bigint[], $13::timestamptz[], $14::timestamptz[]) AS n"""
_HELD = "INSERT INTO reviews (action_id, code, detail) SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[])"
_CLAIM = """
INSERT INTO claims (action_type_id, value, user_id, action_id)
SELECT * FROM unnest($1::int[], $2::text[], $3::bigint[], $4::bigint[]) ON CONFLICT DO NOTHING"""
_UNFOLDED = """
INSERT INTO pending_refolds (user_id) SELECT DISTINCT * FROM unnest($1::bigint[]) ORDER BY 1 ON CONFLICT DO NOTHING"""
_WINDOWS = """
INSERT INTO windows (board_id, starts_at, ends_at)
SELECT * FROM unnest($1::int[], $2::timestamptz[], $3::timestamptz[]) ON CONFLICT DO NOTHING"""

_KEY = frozenset({"username", "kind", "action_identifier", "undoes", "undoes_kind"})
"""The key of a row, which cannot differ between two lines about the same row."""

_SPREADSHEET_DIGITS = 15
_SPREADSHEET_KEEPS = 10**_SPREADSHEET_DIGITS
_SHORTENED = (
    "fingerprint: {} is what a spreadsheet left of a longer number. Leave the column out, or export again with "
    "--spreadsheet-safe"
)

_Lines = Sequence[Line[LedgerRecord]]


@dataclass(slots=True)
class _HistoryItem:
    """A line being imported, with the ids that its names stand for."""

    source: Line[LedgerRecord]
    user_id: int
    type_id: int | None = None
    reverses: int | None = None
    new_score: int = 0
    id: int = 0

    @property
    def line(self) -> int:
        return self.source.number

    @property
    def record(self) -> LedgerRecord:
        return self.source.record

    @property
    def identifier(self) -> str | None:
        """The identifier of the row, or of the one that it undoes."""
        return self.record.undoes if self.record.kind == "reversal" else self.record.action_identifier

    @property
    def named_kind(self) -> str:
        return self.record.undoes_kind if self.record.kind == "reversal" else self.record.kind


async def import_history(
    pool: Pool, catalogue: Catalogue, lines: _Lines, actor: Actor, *, stop: bool = False
) -> ImportTally:
    """Import lines in one transaction. Existing rows (by user, kind and identifier) are left alone or, differing, bad.

    With nothing written, raises what asyncpg raises for a row that PostgreSQL cannot store, and BatchStopped for a bad
    row if `stop` is set.
    """
    tally = ImportTally()
    async with acquire(pool) as connection, connection.transaction():
        items = await _resolved(connection, catalogue, lines, tally)
        stop_at_bad(tally, stop=stop)
        first = _first_of_each(items)
        completions = [item for item in first.values() if item.record.kind != "reversal"]
        reversals = [item for item in first.values() if item.record.kind == "reversal"]
        # Reversals second: the rows they undo may be in the same batch.
        for some in (completions, reversals):
            await _enter(connection, catalogue, some, actor, tally)
        _count_repeated([item for item in items if item is not first[_key(item)]], first, tally)
        stop_at_bad(tally, stop=stop)
    return tally


async def _enter(
    connection: Connection, catalogue: Catalogue, items: Sequence[_HistoryItem], actor: Actor, tally: ImportTally
) -> None:
    fresh = await _absent(connection, items, tally)
    if not fresh:
        return
    await _reckon(connection, catalogue.default_board, fresh)
    await _make_windows(connection, catalogue, fresh)
    drawn = [row["nextval"] for row in await connection.fetch(action_ids.DRAW, len(fresh))]
    for item, number in zip(fresh, action_ids.spread(drawn), strict=False):
        item.id = number
    batch_id = await connection.fetchval("SELECT nextval('journal_id_seq')")
    await connection.execute(_INSERT, *columns([_row(item) for item in fresh], 14), batch_id)
    await _note(connection, catalogue, fresh)
    after = {"added": len(fresh), "lines": [fresh[0].line, fresh[-1].line]}
    await audit.record(connection, actor, "import.ledger", "ledger", after=after)
    tally.added += len(fresh)


async def _resolved(
    connection: Connection, catalogue: Catalogue, lines: _Lines, tally: ImportTally
) -> list[_HistoryItem]:
    """Lock the users in the order of their ids, so that two imports never deadlock."""
    folds = {fold_name(line.record.username) for line in lines}
    users = dict(await connection.fetch(_USERS, list(folds)))
    types = {name: kind.id for name, kind in catalogue.types.items()}
    now, items = datetime.now(UTC), []
    for line in lines:
        record = line.record
        why = _complaint(record, now)
        user_id = users.get(fold_name(record.username))
        type_id = None if record.action_type is None else types.get(record.action_type)
        if user_id is None:
            why = why or f"there is no user {record.username!r}"
        if record.action_type is not None and type_id is None:
            why = why or f"there is no action type {record.action_type!r}"
        if why is not None or user_id is None:
            tally.bad.append(BadRow(line.number, why or "no user"))
        else:
            items.append(_HistoryItem(line, user_id, type_id))
    return sorted(items, key=lambda item: item.user_id)


def _complaint(r: LedgerRecord, now: datetime) -> str | None:
    """Return why a line is bad in a way that the schema of a line cannot express; None if it is good."""
    named = r.undoes if r.kind == "reversal" else r.action_identifier
    if named is None:
        return "`undoes` is missing" if r.kind == "reversal" else "`action_identifier` is missing"
    if (r.kind == "completion") != (r.action_type is not None) and r.kind != "reversal":
        return "a completion names its `action_type`, an adjustment has none"
    if r.kind != "completion" and r.status != "awarded":
        return f"a {r.kind} is awarded"
    why = out_of_range(now, r.completed_at, r.created_at)
    if why is not None:
        return why
    try:
        _metadata(r)
    except LaurelsError as refusal:
        return f"{refusal.detail} (at {refusal.path})"
    return _SHORTENED.format(r.fingerprint) if _is_shortened(r) else None


def _key(item: _HistoryItem) -> tuple[object, ...]:
    """Return the names by which a line refers to its row."""
    return item.user_id, item.record.kind, item.identifier, item.named_kind


def _first_of_each(items: Iterable[_HistoryItem]) -> dict[tuple[object, ...], _HistoryItem]:
    """Keep the first of several lines that name the same row."""
    first: dict[tuple[object, ...], _HistoryItem] = {}
    for item in items:
        first.setdefault(_key(item), item)
    return first


def _count_repeated(
    repeated: Sequence[_HistoryItem], first: dict[tuple[object, ...], _HistoryItem], tally: ImportTally
) -> None:
    bad = {row.line for row in tally.bad}
    for item in repeated:
        earlier = first[_key(item)]
        column = repeats_differently(item.source, earlier.source)
        if column is None and earlier.line not in bad:
            tally.present += 1
        else:
            how = "which is bad" if column is None else f"but differs: {column}"
            tally.bad.append(BadRow(item.line, f"names the row of line {earlier.line}, {how}"))


async def _absent(connection: Connection, items: Sequence[_HistoryItem], tally: ImportTally) -> list[_HistoryItem]:
    """Return the rows that are missing. The others are counted: present, different, or without a row to undo."""
    named = await _named(connection, items)
    undone = {row["id"] for n, row in named.items() if items[n].record.kind == "reversal"}
    reversals = {row["reverses"]: row for row in await connection.fetch(REVERSALS, sorted(undone))}
    absent = []
    for n, item in enumerate(items):
        stored = named.get(n)
        if item.record.kind == "reversal":
            if stored is None:
                tally.bad.append(BadRow(item.line, f"there is no row {item.record.undoes!r} to undo"))
                continue
            item.reverses, item.type_id = stored["id"], stored["action_type_id"]
            stored = reversals.get(item.reverses)
        if stored is None:
            absent.append(item)
        else:
            _compare(item, stored, tally)
    return absent


async def _named(connection: Connection, items: Sequence[_HistoryItem]) -> dict[int, asyncpg.Record]:
    """Return the stored rows that the items name, or undo, by their position."""
    found: dict[int, asyncpg.Record] = {}
    for kind, statement in NAMED.items():
        keys = [(n, item.user_id, item.identifier) for n, item in enumerate(items) if item.named_kind == kind]
        if keys:
            found |= {row["n"]: row for row in await connection.fetch(statement, *columns(keys, 3))}
    return found


def _compare(item: _HistoryItem, stored: asyncpg.Record, tally: ImportTally) -> None:
    text = stored["metadata"]
    members = {**stored, "metadata": None if text is None else msgspec.json.decode(text)}
    column = difference(item.source, members, _KEY)
    if column is None:
        tally.present += 1
    else:
        tally.bad.append(BadRow(item.line, f"is there already and differs: {column}"))


async def _reckon(connection: Connection, board: Board, items: Sequence[_HistoryItem]) -> None:
    """Set the default board's score after each row: from the file, or from the rows before it."""
    scores = dict(await connection.fetch(LAST_SCORES, sorted({item.user_id for item in items})))
    for item in items:
        before, r = scores.get(item.user_id), item.record
        after = before or 0
        if r.new_score is not None:
            after = r.new_score
        elif r.kind == "reversal" or r.status == "awarded":
            after = _after(board, before, r.score_earned)
        item.new_score = scores[item.user_id] = after


def _after(board: Board, before: int | None, earned: int) -> int:
    standing = None if before is None else Standing(before, 0, 1)
    try:
        return fold(standing, earned, 0, board.aggregate, board.order).score
    except Refusal:
        return before or 0


async def _make_windows(connection: Connection, catalogue: Catalogue, items: Sequence[_HistoryItem]) -> None:
    spans = {
        (board.id, span.starts_at, span.ends_at)
        for board in catalogue.counting
        for at in {_counted_at(item.record) for item in items}
        for span in (span_at(board.calendar, at),)
    }
    await connection.execute(_WINDOWS, *columns(sorted(spans, key=str), 3))


async def _note(connection: Connection, catalogue: Catalogue, items: Sequence[_HistoryItem]) -> None:
    """Write what belongs to the rows: users to fold, reviews of held rows, claims."""
    await connection.execute(_UNFOLDED, [item.user_id for item in items])
    held = [
        (item.id, item.record.held_code or "imported", item.record.held_detail or "Imported as held.")
        for item in items
        if item.record.status == "held"
    ]
    if held:
        await connection.execute(_HELD, *columns(held, 3))
    claims = [claim for item in items if (claim := _claim(catalogue, item)) is not None]
    if claims:
        await connection.execute(_CLAIM, *columns(claims, 4))


def _claim(catalogue: Catalogue, item: _HistoryItem) -> tuple[object, ...] | None:
    r = item.record
    kind = catalogue.types.get(r.action_type or "")
    if kind is None or r.status == "rejected":
        return None
    value = claimed_value(kind, r.metadata)
    return None if value is None else (kind.id, value, item.user_id, item.id)


def _row(item: _HistoryItem) -> tuple[object, ...]:
    r = item.record
    identifier = None if r.kind == "reversal" else r.action_identifier
    at = _counted_at(r)
    return (
        item.id,
        item.user_id,
        r.kind,
        item.type_id,
        identifier,
        item.reverses,
        r.status,
        r.score_earned,
        item.new_score,
        _metadata(r),
        r.reason,
        _fingerprint(item),
        r.completed_at or at,
        at,
    )


def _counted_at(r: LedgerRecord) -> datetime:
    """Return the instant whose windows count the row."""
    return r.created_at or r.completed_at or datetime.now(UTC)


def _fingerprint(item: _HistoryItem) -> int:
    r = item.record
    if r.fingerprint is not None:
        return r.fingerprint
    return 0 if r.kind != "completion" else _request(r).fingerprint()


def _request(r: LedgerRecord, completed_at: datetime | None = None) -> Submission:
    """Return the plain request (without a ticket) that a completion would have come from."""
    return Submission(0, r.action_type or "", r.action_identifier or "", _metadata(r), completed_at)


def _is_shortened(r: LedgerRecord) -> bool:
    """Return whether the fingerprint is the right one as a spreadsheet truncates it: to its first 15 digits or fewer.

    Such a fingerprint would make every retry of the request a conflict. The right one of a request with a ticket is
    unknown, because it depends on the ticket.
    """
    given = r.fingerprint
    if given is None or r.kind != "completion" or abs(given) < _SPREADSHEET_KEEPS or given % 10:
        return False
    digits = str(abs(given))
    zeros = len(digits) - len(digits.rstrip("0"))
    if len(digits) - zeros > _SPREADSHEET_DIGITS:
        return False
    times = {None, None if r.completed_at is None else r.completed_at.astimezone(UTC)}
    rights = [_request(r, at).fingerprint() for at in times]
    return given not in rights and any(abs(given - right) < 10**zeros for right in rights)


def _metadata(r: LedgerRecord) -> str | None:
    return canonical_metadata(r.metadata, "metadata")
