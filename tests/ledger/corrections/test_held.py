"""Held actions in a real ledger, and rows that can't be changed."""

from __future__ import annotations

import asyncpg
import pytest
from tests.domain.test_held import odd
from tests.ledger.conftest import add_users, codes, running_ledger

from laurels.domain.actions import Submission
from laurels.domain.detectors import DetectorEngine
from laurels.ledger.db.pool import Pool


async def test_a_held_action_is_in_the_ledger_and_on_no_board(pool: Pool) -> None:
    """Also for a second process that is asked for it again; the reviewer's reason is kept."""
    await add_users(pool, 1)
    async with running_ledger(pool, detectors=DetectorEngine([odd])) as first:
        results = await first.writer.submit([Submission(1, "lesson", "a"), Submission(1, "quiz", "odd")])
    async with running_ledger(pool) as second:
        again = await second.complete(1, "odd", "quiz")
        assert await second.scores() == {1: 10}
    assert codes(results) == ["ok", "ok"]
    held = results[1].accepted.action
    assert (held.status, held.counted, held.new_score) == ("held", 0, 10)
    assert (again.accepted.replayed, again.accepted.action.status) == (True, "held")
    assert tuple(await pool.fetchrow("SELECT action_id, code FROM reviews")) == (held.action_id, "odd")


CHANGES = [
    "UPDATE actions SET score_earned = 1000",
    "UPDATE actions SET user_id = 2",
    "UPDATE actions SET status = 'held'",
    "UPDATE actions SET status = 'rejected' WHERE status = 'awarded'",
    "UPDATE actions SET status = 'awarded', score_earned = 1000 WHERE status = 'held'",
    "UPDATE actions SET metadata = '{\"a\": 1}'",
    "DELETE FROM actions",
    "TRUNCATE actions CASCADE",
]


@pytest.mark.parametrize("statement", CHANGES)
async def test_rows_of_the_ledger_are_not_changed(pool: Pool, statement: str) -> None:
    """Not even by the owner of the tables; only a held row may be decided, and metadata be erased."""
    await add_users(pool, 2)
    async with running_ledger(pool, detectors=DetectorEngine([odd])) as ledger:
        for identifier in ("a", "odd"):
            await ledger.complete(1, identifier, metadata='{"a":2}')
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="rows of the ledger are not changed"):
        await pool.execute(statement)
    await pool.execute("UPDATE actions SET metadata = NULL")
    await pool.execute("UPDATE actions SET status = 'rejected' WHERE status = 'held'")
