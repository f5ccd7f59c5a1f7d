"""Every look-up has its index: no statement of the service reads a big table from end to end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date, timedelta
from uuid import UUID

import pytest

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
    standings,
    user_editor,
)
from laurels.ledger import statement as explained
from laurels.ledger.pool import Pool, plan_by_index
from laurels.ledger.snapshots import _LATEST
from laurels.ledger.sql import LOAD_BATCH, LOAD_TICKETS, LOCK_USERS, WRITE_BATCH
from laurels.ledger.transfer import history
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

# statement, arguments, the indexes that must serve it
STATEMENTS = [
    (LOCK_USERS, [[5, 6, 7]], {"users_pkey"}),
    (
        LOAD_BATCH,
        [[5, 6], [1, 2], [5, 6], ["i5", "i6"], [5, 6], [1, 1], 2],
        {"actions_identifier", "progress_pkey", "standings_pkey"},
    ),
    (readers.RECEIPT, [5, "i5"], {"actions_identifier"}),
    (readers.RECENT_ACTIONS, [5, 20], {"actions_recent"}),
    (people.DONE, [5], {"progress_pkey"}),
    (people.HISTORY, [5, date(2026, 1, 1), 5_000], {"actions_recent"}),
    (receipts._SELECT, [[5], [5]], {"placements_pkey"}),
    (sql.query(sql._TOP, DESC), [1, 100], {"standings_order"}),
    (sql.query(sql._AROUND, DESC), [1, 5, 50], {"standings_order", "standings_pkey"}),
    (sql.query(sql._PLACES, DESC), [1, [5, 6]], {"standings_order", "standings_pkey"}),
    (sql.query(sql._AROUND_HIDDEN, DESC), [1, 5, 50], {"standings_order", "standings_pkey"}),
    (sql.query(sql._PLACE_OF, DESC), [1, 5, 7, ~7, date(2026, 1, 1)], {"standings_order"}),
    (standings._OF_USERS, [[1, 2], [5, 6]], {"standings_pkey"}),
    (standings._RANDOM, [1, 50, 200], {"standings_pkey"}),
    (directory._PEOPLE, [[5, 6]], {"users_pkey"}),
    (directory.WHO, ["user-5"], {"users_username_fold"}),
    (
        directory._RESOLVE,
        [[0, 1, 2], [5, 6, 7], ["user-5", "user-6", "user-7"], ["i", "i", "i"], ["5", "6", "7"]],
        {"users_pkey", "users_username_fold", "users_external"},
    ),
    (accounts._OUTSIDER, ["i", "5"], {"users_external"}),
    (LOAD_TICKETS, [[b"5", b"6"]], {"ticket_uses_pkey"}),
    (signed._TRIM_NONCES, [100], {"signature_nonces_age"}),
    (signed._TRIM_TICKETS, [100], {"ticket_uses_age"}),
    (directory._OFF_BOARD, [], {"users_not_active"}),
    (accounts._LOGIN, ["user-5"], {"users_username_fold"}),
    (authorization.ANOTHER_ADMIN, [5], {"users_operators"}),
    (name_guard.NEAR_OPERATOR, ["user-5"], {"users_operators"}),
    (name_guard.SIMILAR, [5], {"users_username_similar", "users_pkey"}),
    (name_keys.STALE, [1_000], {"users_username_similar"}),
    (authorization._LOCK_USERS, [[5, 6]], {"users_pkey"}),
    (sessions._READ, [b"5", sessions.GRACE], {"refresh_tokens_token_hash_key", "users_pkey"}),
    (sessions._REVOKE_FAMILY, [UUID(int=5)], {"refresh_tokens_family"}),
    (sessions._REVOKE_USER, [5], {"refresh_tokens_user"}),
    (sessions._COUNT_ENDED, [5], {"users_pkey"}),
    (sessions._FORGET_SUCCESSORS, [sessions.GRACE], {"refresh_tokens_successor"}),
    (revocations.ALL_USERS, [revocations.LIFE], {"users_tokens_ended"}),
    (revocations.USERS_AMONG, [revocations.LIFE, [5, 6]], set()),
    (revocations.ALL_SESSIONS, [], {"refresh_tokens_ended", "users_pkey"}),
    (revocations.SESSIONS_AMONG, [[5, 6]], set()),
    (accounts._IS_ERASED, [b"5", 5], {"erased_subjects_pkey"}),
    (sanctions.HIDE, [5, True], {"standings_pkey"}),
    (refolding.ROWS_OF_USER, [5, 0, 0, 100], {"actions_recent", "actions_reverses"}),
    (refolding._STANDINGS, [5, [1, 2]], {"standings_pkey"}),
    (corrections._FIND, [5], {"actions_pkey"}),
    (corrections._REVERSAL_OF, [5], {"actions_reverses"}),
    (corrections._ADJUSTMENT, [5, "i5"], {"actions_adjustment"}),
    (review.PENDING, [1, None, None, 50], {"reviews_open", "actions_pkey", "users_pkey"}),
    (explained.ROWS, [5, 40_000, 51], {"actions_recent", "actions_reverses"}),
    (explained.TOTALS, [5], {"actions_recent", "users_pkey"}),
    (erasure.ERASE_FROZEN, [5, "gone-1"], {"scoreboard_snapshots_people"}),
    (_LATEST, [1], {"scoreboard_snapshots_latest"}),
    (journal._READ, ["9999999", NODE], {"journal_xid"}),
    (audit.LIST, [20_000, None, "user:5", None, None, None, 51], {"audit_subject"}),
    (audit.LIST, [None, "user:5", None, None, None, None, 51], {"audit_actor"}),
    (audit.LIST, [None, None, None, None, None, None, 51], {"audit_pkey"}),
    (user_editor.BY_ID, [None, None, None, None, 500, 51], {"users_pkey"}),
    (user_editor.BY_ID, [None, None, "banned", None, None, 51], {"users_not_active"}),
    (user_editor.BY_NAME, ["user-77", "user-78", None, None, "user-770", 51], {"users_name_prefix"}),
    (
        user_editor.BY_SCORE,
        [None, None, None, None, ~900, 51, 1, date(2026, 1, 1), 5, ~950, ~100],
        {"standings_order", "users_pkey"},
    ),
    (history._LAST_SCORES, [[5, 6]], {"actions_recent"}),
    (
        history._PRESENT,
        [[0, 1], [5, 6], ["completion", "adjustment"], ["i5", "i6"], ["completion", "completion"]],
        {"actions_recent"},
    ),
]

_FILL = f"""
INSERT INTO users (id, username, username_fold, username_skeleton, username_similar, email, status)
SELECT n, 'user-' || n, 'user-' || n, 'user-' || n, 'user-' || n, n || '@example.org',
       CASE WHEN n % 500 = 0 THEN 'banned' ELSE 'active' END
FROM generate_series(1, {PEOPLE}) n;
INSERT INTO windows (id, board_id, starts_at)
SELECT w, 2, now() - w * interval '1 week' FROM generate_series(1, 8) w ON CONFLICT DO NOTHING;
INSERT INTO actions (id, user_id, action_type_id, action_identifier, score_earned, new_score, fingerprint, batch_id,
                     completed_at, created_at)
SELECT n, 1 + n % {PEOPLE}, 1, 'i' || n, 10, 10, n, n, now(), now() FROM generate_series(1, {PEOPLE * 2}) n;
INSERT INTO reviews (action_id, code, detail, decided_at)
SELECT n, 'odd', 'odd', CASE WHEN n % 50 > 0 THEN now() END FROM generate_series(1, {PEOPLE}) n;
INSERT INTO standings (window_id, user_id, score, sort_score, reached_at, version)
SELECT w, n, n % 977, ~(n % 977)::bigint, now(), 1 FROM generate_series(1, {PEOPLE}) n, generate_series(1, 8) w;
INSERT INTO progress SELECT n, 1, 2, now()::date, 1, now() FROM generate_series(1, {PEOPLE}) n;
INSERT INTO placements SELECT n, n, ARRAY[n], ARRAY[1], ARRAY[1] FROM generate_series(1, {PEOPLE}) n;
INSERT INTO audit (actor, act, subject)
SELECT 'user:' || n % 5000, 'user.ban', 'user:' || n FROM generate_series(1, {PEOPLE}) n;
INSERT INTO journal (xid, node, kind, ids)
SELECT n::text::xid8, '{NODE}', 'standings', ARRAY[n] FROM generate_series(1, {PEOPLE}) n;
INSERT INTO refresh_tokens (user_id, family, token_hash, expires_at)
SELECT n, lpad(to_hex(n), 32, '0')::uuid, n::text::bytea, now() FROM generate_series(1, {PEOPLE}) n;
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


@pytest.fixture
async def full_pool(pool: Pool) -> Pool:
    """A ledger with enough rows for the planner to care."""
    async with pool.acquire() as connection:
        await connection.execute("SET statement_timeout = 0")
        await connection.execute(_FILL)
        await connection.execute("VACUUM ANALYZE")
    return pool


async def test_every_look_up_uses_its_index(full_pool: Pool) -> None:
    """Each statement's plan names its indexes and scans no big table sequentially."""
    for statement, arguments, indexes in STATEMENTS:
        plan = await _plan(full_pool, statement, arguments)
        nodes = list(_nodes(plan))
        scanned = {node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"} & BIG
        used = {node["Index Name"] for node in nodes if "Index Name" in node}
        assert not scanned, f"{statement}\nreads {scanned} from end to end"
        assert indexes <= used, f"{statement}\nuses {used}, not {indexes}"


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


async def test_the_top_list_reads_no_more_than_it_shows(full_pool: Pool) -> None:
    """The rows come off the index in order: no sort of the whole window."""
    plan = await _plan(full_pool, sql._TOP.format(better="0", totals="0 AS seq, 0 AS total"), [1, 10])
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
