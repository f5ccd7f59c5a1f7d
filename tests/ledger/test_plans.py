"""Every look-up has its index, whatever the statistics: no statement reads a big table from end to end.

Each is planned with its arguments and without them, in ledgers whose rows belong to all users, to three of them, or
that were loaded a moment ago and never analysed: there a planner believes other things than are true.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest

from laurels import ledger
from laurels.domain.boards import Board
from laurels.ledger import (
    accounts,
    audit,
    authorization,
    corrections,
    directory,
    erasure,
    journal,
    name_guard,
    name_keys,
    people,
    readers,
    receipts,
    refolding,
    review,
    revocations,
    sanctions,
    sessions,
    signed,
    snapshots,
    standings,
    user_editor,
)
from laurels.ledger import statement as explained
from laurels.ledger.pool import Connection, Pool, plan_by_index
from laurels.ledger.snapshots import _LATEST
from laurels.ledger.sql import LOAD_BATCH, LOAD_TICKETS, LOCK_USERS, WRITE_BATCH
from laurels.ledger.transfer import folding, history
from laurels.ledger.transfer import users as imported_users
from laurels.ranking import sql

PEOPLE = 20_000
BIG = {
    "users",
    "actions",
    "standings",
    "progress",
    "placements",
    "journal",
    "audit",
    "refresh_tokens",
    "scoreboard_snapshots",
    "reviews",
    "ticket_uses",
    "signature_nonces",
}
DESC = Board(1, "b", "B")
NODE = UUID(int=1)


@dataclass(frozen=True)
class Case:
    """A statement, arguments, and the indexes that must serve it in an ordinary ledger.

    walks     indexes that it may read from end to end, because that is what it is for, or because they are partial
    filtered  arguments of NULL mean "any": PostgreSQL goes on planning such a statement for its arguments, because
              the plan for all of them costs more
    lane      planned as the connections of the writer plan
    rare      what it looks for is rare, which only statistics can tell: just after a load it reads everything. An
              import analyses what it has loaded
    """

    statement: str
    arguments: list[Any]
    indexes: set[str]
    walks: frozenset[str] = frozenset()
    filtered: bool = False
    lane: bool = False
    rare: bool = False


WALKS_USERS = frozenset({"users_pkey"})
PARTIAL = frozenset({"users_not_active", "users_operators", "reviews_open"})

CASES = [
    Case(LOCK_USERS, [[5, 6, 7]], {"users_pkey"}, lane=True),
    Case(
        LOAD_BATCH,
        [[5, 6], [1, 2], [5, 6], ["i5", "i6"], [5, 6], [1, 1], 2],
        {"actions_identifier", "progress_pkey", "standings_pkey"},
        lane=True,
    ),
    Case(readers.RECEIPT, [5, "i5"], {"actions_identifier"}),
    Case(readers.RECENT_ACTIONS, [5, 20], set()),
    Case(people.DONE, [5], {"progress_pkey"}),
    Case(people.HISTORY, [5, date(2026, 1, 1), 5_000], {"actions_recent"}),
    Case(receipts._SELECT, [[5], [5]], {"placements_pkey"}),
    Case(sql.query(sql._TOP, DESC), [1, 100], {"standings_order"}),
    Case(sql.query(sql._AROUND, DESC), [1, 5, 50], {"standings_order", "standings_pkey"}),
    Case(sql.query(sql._PLACES, DESC), [1, [5, 6]], {"standings_order", "standings_pkey"}),
    Case(sql.query(sql._AROUND_HIDDEN, DESC), [1, 5, 50], {"standings_order", "standings_pkey"}),
    Case(sql.query(sql._PLACE_OF, DESC), [1, 5, 7, ~7, date(2026, 1, 1)], {"standings_order"}),
    Case(standings._OF_USERS, [[1, 2], [5, 6]], {"standings_pkey"}),
    Case(standings._RANDOM, [1, 50, 200], {"standings_pkey"}),
    Case(directory._PEOPLE, [[5, 6]], {"users_pkey"}),
    Case(directory.WHO, ["user-5"], {"users_username_fold"}),
    Case(
        directory._RESOLVE,
        [[0, 1, 2], [5, 6, 7], ["user-5", "user-6", "user-7"], ["i", "i", "i"], ["5", "6", "7"]],
        {"users_pkey", "users_username_fold", "users_external"},
    ),
    Case(accounts._OUTSIDER, ["i", "5"], {"users_external"}),
    Case(LOAD_TICKETS, [[b"5", b"6"]], {"ticket_uses_pkey"}, lane=True),
    Case(signed._TRIM_NONCES, [100], {"signature_nonces_age"}),
    Case(signed._TRIM_TICKETS, [100], {"ticket_uses_age"}),
    Case(directory._OFF_BOARD, [], {"users_not_active"}, PARTIAL, rare=True),
    Case(accounts._LOGIN, ["user-5"], {"users_username_fold"}),
    Case(authorization.ANOTHER_ADMIN, [5], {"users_operators"}, PARTIAL, rare=True),
    Case(name_guard.NEAR_OPERATOR, ["user-5"], {"users_operators"}),
    Case(name_guard.SIMILAR, [5], {"users_username_similar", "users_pkey"}),
    Case(name_keys.STALE, [1_000], {"users_username_similar"}),
    Case(authorization._LOCK_USERS, [[5, 6]], {"users_pkey"}),
    Case(sessions._READ, [b"5", sessions.GRACE], {"refresh_tokens_token_hash_key", "users_pkey"}),
    Case(sessions._REVOKE_FAMILY, [UUID(int=5)], {"refresh_tokens_family"}),
    Case(sessions._REVOKE_USER, [5], {"refresh_tokens_user"}),
    Case(sessions._COUNT_ENDED, [5], {"users_pkey"}),
    Case(sessions._FORGET_SUCCESSORS, [sessions.GRACE], {"refresh_tokens_successor"}),
    Case(revocations.ALL_USERS, [revocations.LIFE], {"users_tokens_ended"}),
    Case(revocations.USERS_AMONG, [revocations.LIFE, [5, 6]], {"users_pkey"}),
    Case(revocations.ALL_SESSIONS, [], {"refresh_tokens_ended", "users_pkey"}),
    Case(revocations.SESSIONS_AMONG, [[5, 6]], {"users_pkey"}),
    Case(accounts._IS_ERASED, [b"5", 5], {"erased_subjects_pkey"}),
    Case(sanctions.HIDE, [5, True], {"standings_pkey"}),
    Case(refolding.ROWS_OF_USER, [5, 0, 0, 100], {"actions_recent", "actions_reverses"}),
    Case(refolding._STANDINGS, [5, [1, 2]], {"standings_pkey"}),
    Case(corrections._FIND, [5], {"actions_pkey"}),
    Case(corrections._REVERSAL_OF, [5], {"actions_reverses"}),
    Case(corrections._ADJUSTMENT, [5, "i5"], {"actions_adjustment"}),
    Case(review.PENDING, [1, None, None, 50], {"reviews_open", "actions_pkey", "users_pkey"}, PARTIAL, filtered=True),
    Case(explained.ROWS, [5, 40_000, 51], {"actions_recent", "actions_reverses"}),
    Case(explained.TOTALS, [5], {"actions_recent", "users_pkey"}),
    Case(erasure.ERASE_FROZEN, [5, "gone-1"], {"scoreboard_snapshots_people"}),
    Case(_LATEST, [1], {"scoreboard_snapshots_latest"}),
    Case(journal._READ, ["9999999", NODE], {"journal_xid"}, walks=frozenset({"journal_xid"})),
    Case(audit.LISTS["subject"], [20_000, None, "user:5", None, None, None, 51], {"audit_subject"}, filtered=True),
    Case(audit.LISTS["actor"], [None, "user:5", None, None, None, None, 51], {"audit_actor"}, filtered=True),
    Case(audit.LISTS["act"], [None, None, None, "user.ban", None, None, 51], {"audit_act"}, filtered=True),
    Case(audit.LISTS[None], [None, None, None, None, None, None, 51], {"audit_pkey"}, filtered=True),
    Case(user_editor.BY_ID, [None, None, None, None, 500, 51], {"users_pkey"}, WALKS_USERS, filtered=True),
    Case(
        user_editor.BY_ID,
        [None, None, "banned", None, None, 51],
        {"users_not_active"},
        PARTIAL,
        filtered=True,
        rare=True,
    ),
    Case(
        user_editor.BY_ID,
        [None, None, None, "admin", None, 51],
        {"users_operators"},
        PARTIAL,
        filtered=True,
        rare=True,
    ),
    Case(user_editor.BY_NAME, ["user-77", "user-78", None, None, "user-770", 51], {"users_name_prefix"}, filtered=True),
    Case(
        user_editor.BY_SCORE,
        [None, None, None, None, ~900, 51, 1, date(2026, 1, 1), 5, ~950, ~100],
        {"standings_order", "users_pkey"},
        filtered=True,
    ),
    Case(history.LAST_SCORES, [[5, 6]], {"actions_recent"}),
    Case(history.NAMED["completion"], [[0, 1], [5, 6], ["i5", "i6"]], {"actions_identifier"}),
    Case(history.NAMED["adjustment"], [[0, 1], [5, 6], ["i5", "i6"]], {"actions_adjustment"}),
    Case(history.REVERSALS, [[5, 6]], {"actions_reverses"}),
    Case(history._USERS, [["user-5", "user-6"]], {"users_username_fold"}),
    Case(imported_users._KNOWN, [["user-5", "user-6"]], {"users_username_fold"}),
    Case(
        imported_users._OBSTACLES,
        [["user-5"], ["5@example.org"], ["i"], ["5"]],
        {"users_username_skeleton", "users_email", "users_external"},
    ),
    Case(folding._PRESENT, [[5, 6]], {"standings_pkey"}),
    Case(erasure._ERASE_METADATA, [5, 0, 100], {"actions_recent", "actions_pkey"}),
    Case(erasure._SESSIONS, [5], {"refresh_tokens_user"}),
    Case(erasure._COUNTERS, [5], {"progress_pkey"}),
    Case(erasure._ERASE_SESSIONS, [5], {"refresh_tokens_user"}),
    Case(journal.TRIM, [100], {"journal_pkey"}, walks=frozenset({"journal_pkey"})),
    Case(sessions._TRIM, [], {"refresh_tokens_age"}, walks=frozenset({"refresh_tokens_age"})),
    Case(accounts._FIRST_ADMIN, [], {"users_operators"}, PARTIAL, rare=True),
    Case(accounts.ANY_ADMIN, [], {"users_operators"}, PARTIAL, rare=True),
    Case(directory._FIND_ANY, ["user-5"], {"users_username_fold"}),
    Case(directory._OFF_BOARD_AMONG, [[5, 6]], {"users_not_active"}),
    Case(refolding._DROP_PROGRESS, [5, 1], {"progress_pkey"}),
    Case(snapshots._LOCK_CHUNK, [[5, 6]], {"users_pkey"}),
    Case(snapshots._WRITE_CHUNK, [[5, 6], [1, 2]], {"users_pkey"}),
    Case(snapshots._DUE, [[1, 2], 60], {"scoreboard_snapshots_latest"}),
    Case(folding._PUT_USERS, [[5, 6], [1, 2], [1, 2], date(2026, 1, 1)], {"users_pkey"}),
    Case(standings._HIGHEST, [], {"users_pkey"}),
    Case(people.SEARCH, ["user-7", "user-8", 20], {"users_name_prefix"}),
]


WHOLE = {
    "audit._LIST": "a template: LISTS are planned",
    "batch.WRITE_BATCH": "writes; planned without arguments below",
    "sql.WRITE_BATCH": "the same",
    "repair._ROWS": "verify folds the whole ledger",
    "repair._PRESENT": "verify compares every standing",
    "repair._DIFFERING_CURRENT": "verify compares every user",
    "snapshots._FREEZE": "a template; the top of a window, and how many there are in it",
    "standings._COUNT": "of a whole window",
    "standings._STREAM": "a window, into an index",
    "standings._PACKED": "a window, into the shared index",
    "standings._RANKED": "a template; a window, to verify",
    "transfer.exporting._USERS": "an export",
    "transfer.exporting._LEDGER": "an export",
    "transfer.exporting.COUNTS": "of an export",
    "usual._USUAL": "the newest rows of everybody, by id",
}
"""Statements of the ledger that read much on purpose."""


@dataclass(frozen=True)
class Shape:
    """Users `owners` have `rows` rows between them; the others have none. Not `analysed`: just loaded."""

    people: int
    rows: int
    owners: int
    analysed: bool = True


SHAPES = {
    "ordinary": Shape(PEOPLE, 2 * PEOPLE, PEOPLE),
    "few users with many rows": Shape(5_003, 4 * PEOPLE, 3),
    "many users with a row": Shape(PEOPLE, PEOPLE, PEOPLE),
    "few users, just loaded": Shape(5_003, 4 * PEOPLE, 3, analysed=False),
    "many users, just loaded": Shape(PEOPLE, PEOPLE, PEOPLE, analysed=False),
}
_FILL = f"""
INSERT INTO users (id, username, username_fold, username_skeleton, username_similar, email, status, role)
SELECT n, 'user-' || n, 'user-' || n, 'user-' || n, 'user-' || n, n || '@example.org',
       CASE WHEN n % 500 = 0 THEN 'banned' ELSE 'active' END, CASE WHEN n % 1000 = 1 THEN 'admin' ELSE 'player' END
FROM generate_series(1, {{people}}) n;
INSERT INTO windows (id, board_id, starts_at)
SELECT w, 2, now() - w * interval '1 week' FROM generate_series(1, 8) w ON CONFLICT DO NOTHING;
INSERT INTO actions (id, user_id, action_type_id, action_identifier, score_earned, new_score, fingerprint, batch_id,
                     completed_at, created_at, kind)
SELECT n, 1 + n % {{owners}}, CASE WHEN n % 10 > 0 THEN 1 END, 'i' || n, 10, 10, n, n, now(), now(),
       CASE WHEN n % 10 > 0 THEN 'completion' ELSE 'adjustment' END
FROM generate_series(1, {{rows}}) n;
INSERT INTO actions (id, user_id, action_type_id, reverses, score_earned, new_score, fingerprint, batch_id,
                     completed_at, created_at, kind)
SELECT 1000000 + n, 1 + n % {{owners}}, 1, n, -10, 0, 0, n, now(), now(), 'reversal'
FROM generate_series(1, {{rows}} / 2) n WHERE n % 10 > 0;
INSERT INTO reviews (action_id, code, detail, decided_at)
SELECT n, 'odd', 'odd', CASE WHEN n % 50 > 0 THEN now() END FROM generate_series(1, {PEOPLE}) n;
INSERT INTO standings (window_id, user_id, score, sort_score, reached_at, version)
SELECT w, n, n % 977, ~(n % 977)::bigint, now(), 1
FROM generate_series(1, least({{owners}} * 5000, {{people}})) n, generate_series(1, 8) w;
INSERT INTO progress SELECT n, 1, 2, now()::date, 1, now() FROM generate_series(1, {{people}}) n;
INSERT INTO placements SELECT n, n, ARRAY[n], ARRAY[1], ARRAY[1] FROM generate_series(1, {PEOPLE}) n;
INSERT INTO audit (actor, act, subject)
SELECT 'user:' || n % least({{owners}}, 5000), 'user.ban', 'user:' || n % {{owners}}
FROM generate_series(1, {PEOPLE}) n;
INSERT INTO journal (xid, node, kind, ids)
SELECT n::text::xid8, '{NODE}', 'standings', ARRAY[n] FROM generate_series(1, {PEOPLE}) n;
INSERT INTO refresh_tokens (user_id, family, token_hash, expires_at)
SELECT 1 + n % {{owners}}, lpad(to_hex(n), 32, '0')::uuid, n::text::bytea, now() FROM generate_series(1, {PEOPLE}) n;
INSERT INTO erased_subjects SELECT n::text::bytea, now() FROM generate_series(1, {PEOPLE}) n;
UPDATE users SET tokens_not_before = now() WHERE id % 500 = 1;
UPDATE refresh_tokens SET revoked_at = now(), access_until = now() + interval '1 hour' WHERE user_id % 500 = 1;
INSERT INTO scoreboard_snapshots (window_id, top_scores, snapshot_time, total_users)
SELECT 1, '[]', now() - n * interval '1 minute', 5 FROM generate_series(1, {PEOPLE}) n;
UPDATE users SET external_issuer = 'i', external_subject = id WHERE id % 2 = 0;
INSERT INTO ticket_uses SELECT n::text::bytea, 5, now() + n * interval '1 minute' FROM generate_series(1, {PEOPLE}) n;
INSERT INTO api_keys (id, name, scopes) VALUES (1, 'k', ARRAY['actions:write']);
INSERT INTO signature_nonces
SELECT 1, 'nonce-' || n, now() + n * interval '1 minute' FROM generate_series(1, {PEOPLE}) n;
"""
# What an equality and a range that is closed on both sides leave of an index is not the whole of it.
_BOUNDED = re.compile(r"(?<![<>])= |\b(\w+)\)?(?:::text)? >= .*\b\1\)?(?:::text)? <=? ")


async def fill(pool: Pool, shape: Shape) -> None:
    """Enough rows for the planner to care."""
    async with pool.acquire() as connection:
        await connection.execute("SET statement_timeout = 0")
        for table in BIG:
            await connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
        await connection.execute(_FILL.format(people=shape.people, rows=shape.rows, owners=shape.owners))
        if shape.analysed:
            await connection.execute("VACUUM ANALYZE")


async def test_every_look_up_uses_its_index(pool: Pool) -> None:
    """Each statement's plan names its indexes."""
    await fill(pool, SHAPES["ordinary"])
    for case in CASES:
        plan = await _plan(pool, case.statement, case.arguments)
        used = {node["Index Name"] for node in _nodes(plan) if "Index Name" in node}
        assert case.indexes <= used, f"{case.statement}\nuses {used}, not {case.indexes}"


@pytest.mark.parametrize("shape", SHAPES)
async def test_nothing_is_read_from_end_to_end(pool: Pool, shape: str) -> None:
    """Neither a table nor an index, whether the plan is made for the arguments or is kept for all."""
    await fill(pool, SHAPES[shape])
    async with pool.acquire() as connection:
        read = {}
        for case in CASES:
            for kept in (False, True):
                if (kept and case.filtered) or (case.lane and not kept) or (case.rare and not SHAPES[shape].analysed):
                    continue
                if whole := _read_whole(await _planned(connection, case, kept=kept)) - case.walks:
                    read[case.statement, kept] = whole
    assert not read, "\n\n".join(f"{statement}\nreads {whole} ({kept=})" for (statement, kept), whole in read.items())


async def _planned(connection: Connection, case: Case, *, kept: bool) -> dict:
    await connection.execute(f"SET plan_cache_mode = force_{'generic' if kept else 'custom'}_plan")
    if case.lane:
        await plan_by_index(connection)
    await connection.execute(f"PREPARE planned AS {case.statement}")
    given = f"({', '.join(map(_literal, case.arguments))})" if case.arguments else ""
    (row,) = await connection.fetch(f"EXPLAIN (FORMAT JSON) EXECUTE planned {given}")
    await connection.execute("DEALLOCATE planned; RESET ALL")
    return json.loads(row[0])[0]["Plan"]


def _read_whole(node: dict, *, limited: bool = False) -> set[str]:
    """Return the big tables that are scanned, and the indexes on them that no condition and no LIMIT bounds."""
    found = set[str]()
    if node.get("Relation Name") in BIG:
        if node["Node Type"] == "Seq Scan":
            found.add(node["Relation Name"])
        elif node["Node Type"] in ("Index Scan", "Index Only Scan"):
            first_ones = limited and "Filter" not in node
            if not first_ones and not _BOUNDED.search(node.get("Index Cond", "")):
                found.add(node["Index Name"])
    for child in node.get("Plans", ()):
        found |= _read_whole(child, limited=node["Node Type"] == "Limit")
    return found


async def test_a_plan_kept_from_an_empty_ledger_still_uses_indexes(pool: Pool) -> None:
    """A lane keeps its plans while the ledger grows: those made on its first day must do for its last."""
    async with pool.acquire() as connection:
        await connection.execute("SET plan_cache_mode = force_generic_plan")  # what PostgreSQL does by itself, later
        await plan_by_index(connection)
        for statement in (LOCK_USERS, LOAD_BATCH, WRITE_BATCH):
            count = max(map(int, re.findall(r"\$(\d+)", statement)))
            await connection.execute(f"DEALLOCATE ALL; PREPARE kept AS {statement}")
            (row,) = await connection.fetch(f"EXPLAIN (FORMAT JSON) EXECUTE kept ({', '.join(['NULL'] * count)})")
            nodes = list(_nodes(json.loads(row[0])[0]["Plan"]))
            scanned = {node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"} & BIG
            whole = {node["Index Name"] for node in nodes if "Index Name" in node and "Index Cond" not in node}
            assert not scanned | whole, f"{statement}\nreads {scanned | whole} from end to end"


_SQL = re.compile(r"\s*(--[^\n]*\n\s*)*(SELECT|WITH|UPDATE|DELETE)\s")
_OF_BIG = re.compile(rf"\b(FROM|JOIN|UPDATE)\s+({'|'.join(sorted(BIG))})\b")
_BY_KEY = re.compile(r"WHERE (\w\.)?(id|action_id|token_hash) = \$1\b")


def test_every_statement_is_planned() -> None:
    """A new statement of the ledger on a big table is by its key, is among CASES, or says why it reads all."""
    planned = {case.statement for case in CASES}
    unplanned = {
        name
        for name, statement in _statements()
        if statement not in planned and not _BY_KEY.search(statement) and name not in WHOLE
    }
    assert not unplanned
    assert set(WHOLE) <= {name for name, _ in _statements()}, "a reason for a statement that is gone"


def _statements() -> Iterator[tuple[str, str]]:
    """Yield the SQL on big tables of all modules of the ledger: their constants, and what stands in functions."""
    for info in pkgutil.walk_packages(ledger.__path__, f"{ledger.__name__}."):
        module = importlib.import_module(info.name)
        name = info.name.removeprefix(f"{ledger.__name__}.")
        for member, value in vars(module).items():
            for text in value.values() if isinstance(value, dict) else [value]:
                if isinstance(text, str) and _SQL.match(text) and _OF_BIG.search(text):
                    yield f"{name}.{member}", text
        for function in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for node in ast.walk(function):
                    text = node.value if isinstance(node, ast.Constant) else None
                    if isinstance(text, str) and _SQL.match(text) and _OF_BIG.search(text):
                        yield f"{name}.{function.name}", text


async def test_the_top_list_reads_no_more_than_it_shows(pool: Pool) -> None:
    """The rows come off the index in order: no sort of the whole window."""
    await fill(pool, SHAPES["ordinary"])
    plan = await _plan(pool, sql._TOP.format(better="0", totals="0 AS seq, 0 AS total"), [1, 10])
    limit = next(node for node in _nodes(plan) if node["Node Type"] == "Limit")
    assert limit["Plans"][0]["Node Type"] in ("Index Scan", "Index Only Scan")


async def _plan(pool: Pool, statement: str, arguments: list[object]) -> dict:
    """The plan of a statement with literals in place of its parameters."""
    text = re.sub(r"\$(\d+)", lambda found: _literal(arguments[int(found[1]) - 1]), statement)
    async with pool.acquire() as connection, connection.transaction():
        (row,) = await connection.fetch(f"EXPLAIN (FORMAT JSON) {text}")
    return json.loads(row[0])[0]["Plan"]


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, list):
        kind = {str: "text", bytes: "bytea"}.get(type(value[0]) if value else int, "bigint")
        return f"ARRAY[{', '.join(map(_literal, value))}]::{kind}[]"
    if isinstance(value, bytes):
        return f"'\\x{value.hex()}'::bytea"
    if isinstance(value, UUID):
        return f"'{value}'::uuid"
    if isinstance(value, timedelta):
        return f"interval '{value.total_seconds()} seconds'"
    return f"'{value}'" if isinstance(value, str | date) else str(value)


def _nodes(plan: dict) -> Iterator[dict]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)
