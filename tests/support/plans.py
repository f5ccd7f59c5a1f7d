"""Ledgers of several shapes, and the plans that PostgreSQL makes in them."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from laurels.ledger.db.pool import Connection, connect, plan_by_index
from tests.support.statements import CASES, NODE, Case

Plan = dict[str, Any]
"""A node of a plan as EXPLAIN (FORMAT JSON) gives it, with those below it."""
PEOPLE, FEW = 20_000, 5_003
"""As few as give the plans of large ledgers."""
BIG = {
    "users",
    "actions",
    "standings",
    "user_action_counters",
    "journal",
    "audit",
    "refresh_tokens",
    "scoreboard_snapshots",
    "reviews",
    "ticket_uses",
    "signature_nonces",
}


@dataclass(frozen=True)
class Shape:
    """Users `owners` have `rows` rows between them; the others have none. Not `analysed`: just loaded."""

    people: int
    rows: int
    owners: int
    analysed: bool = True


SHAPES = {
    "ordinary": Shape(PEOPLE, 2 * PEOPLE, PEOPLE),
    "few users with many rows": Shape(FEW, 4 * PEOPLE, 3),
    "many users with a row": Shape(PEOPLE, PEOPLE, PEOPLE),
    "few users, just loaded": Shape(FEW, 4 * PEOPLE, 3, analysed=False),
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
INSERT INTO user_action_counters (user_id, action_type_id, total_count, day, day_count, last_at)
SELECT n, 1, 2, now()::date, 1, now() FROM generate_series(1, {{people}}) n;
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
# What an equality, a containment, and a range that is closed on both sides leave of an index is not the whole of it.
_BOUNDED = re.compile(r"(?<![<>])= |@> |\b(\w+)\)?(?:::text)? >= .*\b\1\)?(?:::text)? <=? ")


@contextlib.asynccontextmanager
async def ledger_of(url: str, shape: Shape) -> AsyncIterator[Connection]:
    """Give a connection to a ledger with enough rows for the planner to care."""
    pool = await connect(url, size=1)
    try:
        async with pool.acquire() as connection:
            await connection.execute("SET statement_timeout = 0")
            await fill(connection, shape)
            await connection.execute("RESET ALL")
            yield connection
    finally:
        pool.terminate()


async def fill(connection: Connection, shape: Shape) -> None:
    """Load the rows without triggers and foreign keys: what those would check is right."""
    for table in BIG:
        await connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    await connection.execute("SET session_replication_role = replica")
    await connection.execute(_FILL.format(people=shape.people, rows=shape.rows, owners=shape.owners))
    if shape.analysed:
        await connection.execute(f"VACUUM ANALYZE {', '.join(sorted(BIG | {'erased_subjects'}))}")


async def read_whole(connection: Connection, shape: Shape) -> dict[tuple[str, str], set[str]]:
    """Return what statements read from end to end, planned for their arguments and for any."""
    found = {}
    for kept in (False, True):
        for case in CASES:
            if (kept and case.filtered) or (case.lane and not kept) or (case.rare and not shape.analysed):
                continue
            if whole := _whole(await _planned(connection, case, kept=kept)) - case.walks:
                found[case.statement, "any arguments" if kept else "these"] = whole
    return found


def complaints(read: dict[tuple[str, str], set[str]]) -> str:
    return "\n\n".join(f"{statement}\nreads {whole}, planned for {by}" for (statement, by), whole in read.items())


async def _planned(connection: Connection, case: Case, *, kept: bool) -> Plan:
    mode = f"SET plan_cache_mode = force_{'generic' if kept else 'custom'}_plan"
    if case.lane:
        await plan_by_index(connection)
    await connection.execute(f"{mode}; PREPARE planned AS {case.statement}")
    given = f"({', '.join(map(literal, case.arguments))})" if case.arguments else ""
    plan = await explain(connection, f"EXECUTE planned {given}")
    await connection.execute("DEALLOCATE planned; RESET ALL")
    return plan


async def explain(connection: Connection, text: str) -> Plan:
    (row,) = await connection.fetch(f"EXPLAIN (FORMAT JSON) {text}")
    plan: Plan = json.loads(row[0])[0]["Plan"]
    return plan


def _whole(node: Plan, *, limited: bool = False) -> set[str]:
    """Return the big tables that are scanned, and the indexes on them that no condition and no LIMIT bounds."""
    found = set[str]()
    if node["Node Type"] == "Seq Scan" and node["Relation Name"] in BIG:
        found.add(node["Relation Name"])
    elif node.get("Index Name", "").startswith(tuple(BIG)):
        # A bitmap reads all that its condition leaves of the index before the first row comes out of it.
        first_ones = limited and "Filter" not in node and node["Node Type"] != "Bitmap Index Scan"
        if not first_ones and not _BOUNDED.search(node.get("Index Cond", "")):
            found.add(node["Index Name"])
    for child in node.get("Plans", ()):
        found |= _whole(child, limited=node["Node Type"] == "Limit")
    return found


def literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, list):
        kind = "text" if isinstance(value[0], str) else "bytea" if isinstance(value[0], bytes) else "bigint"
        return f"ARRAY[{', '.join(map(literal, value))}]::{kind}[]"
    if isinstance(value, bytes):
        return f"'\\x{value.hex()}'::bytea"
    if isinstance(value, UUID):
        return f"'{value}'::uuid"
    if isinstance(value, timedelta):
        return f"interval '{value.total_seconds()} seconds'"
    return f"'{value}'" if isinstance(value, str | date) else str(value)


def nodes(plan: Plan) -> Iterator[Plan]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)
