"""The partitioned ledger of docs/scale.md: its DDL runs, and the hot statements look up one partition's index."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from tests.ledger.conftest import add_users, running_ledger

from laurels.ledger.accounts import people
from laurels.ledger.db.pool import Pool, plan_by_index
from laurels.ledger.queries import user_actions
from laurels.ledger.write.sql import LOAD_BATCH

DOCUMENT = Path(__file__).parents[3] / "docs" / "scale.md"
PARTITIONS = 16


def _ddl() -> str:
    found = re.search(r"```sql\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
async def partitioned(pool: Pool) -> Pool:
    """A ledger that was partitioned when it had rows already."""
    await add_users(pool, 2_000)
    await pool.execute(
        "INSERT INTO actions (id, user_id, action_type_id, action_identifier, score_earned, new_score, fingerprint,"
        " batch_id, completed_at, created_at)"
        " SELECT nextval('actions_id_seq'), 1 + n % 2000, 1, 'i' || n, 0, 0, n, 0, now(), now()"
        " FROM generate_series(1, 40000) n"
    )
    await pool.execute(_ddl())
    await pool.execute("ANALYZE")
    return pool


@pytest.mark.parametrize(
    ("statement", "arguments"),
    [
        (LOAD_BATCH, "ARRAY[5], ARRAY[1], '{\"(5,i4)\"}', '{\"(5,1)\"}', 1"),
        (user_actions.RECEIPT, "5, 'i4'"),
        (user_actions.RECENT_ACTIONS, "5, 20"),
        (people.HISTORY, "5, '2026-01-01', 5000"),
    ],
)
async def test_a_users_rows_are_looked_up_in_one_partition(partitioned: Pool, statement: str, arguments: str) -> None:
    """With a plan that is kept, as lanes keep theirs: the others are pruned when it runs."""
    async with partitioned.acquire() as connection:
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        await plan_by_index(connection)
        await connection.execute(f"PREPARE kept AS {statement}")
        (row,) = await connection.fetch(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE kept ({arguments})")
    touched = [
        node
        for node in _nodes(json.loads(row[0])[0]["Plan"])
        if node.get("Relation Name", "").startswith("actions_") and node["Actual Loops"]
    ]
    assert len(touched) == 1, touched
    assert "Index Scan" in touched[0]["Node Type"] or "Index Only Scan" in touched[0]["Node Type"]


async def test_idempotency_holds_over_partitions(partitioned: Pool) -> None:
    """The writer, unchanged: the same identifier is one action, and no second row can be written around it."""
    async with running_ledger(partitioned) as ledger:
        first = await ledger.complete(7, "twice")
        again = await ledger.complete(7, "twice")
    assert not isinstance(first, Exception)
    assert not isinstance(again, Exception)
    assert again.accepted.replayed
    assert again.accepted.action.action_id == first.accepted.action.action_id
    with pytest.raises(asyncpg.UniqueViolationError):
        await partitioned.execute(
            "INSERT INTO actions (id, user_id, action_type_id, action_identifier, score_earned, new_score, fingerprint,"
            " batch_id, completed_at, created_at) SELECT nextval('actions_id_seq'), user_id, action_type_id,"
            " action_identifier, 0, 0, 0, 0, now(), now() FROM actions"
            " WHERE user_id = 7 AND action_identifier = 'twice'"
        )


async def test_rows_stay_unchangeable(partitioned: Pool) -> None:
    """The guard came along to every partition."""
    for statement in ("UPDATE actions SET score_earned = 9", "DELETE FROM actions", "TRUNCATE actions CASCADE"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await partitioned.execute(statement)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await partitioned.execute("TRUNCATE actions_3 CASCADE")


def _nodes(plan: dict) -> Iterator[dict]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)
