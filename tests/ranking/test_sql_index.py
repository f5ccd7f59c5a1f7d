"""The common behaviour, straight from the ledger."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from typing import Any

import asyncpg
from hypothesis.stateful import run_state_machine_as_test
from tests.ranking.behaviour import PEOPLE, Batch, IndexBehaviour, examples

from laurels.domain.boards import Board, Ties, Window
from laurels.domain.calendars import ALL_TIME
from laurels.domain.standings import Order, from_micros, sort_score
from laurels.ledger.db import pool as ledger_pool
from laurels.ranking.sql_index import SqlIndex

_PUT = """
INSERT INTO standings (window_id, user_id, score, sort_score, reached_at, version, hidden)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (user_id, window_id) DO UPDATE
SET score = $3, sort_score = $4, reached_at = $5, version = $6, hidden = $7
WHERE standings.version < $6"""
_BOARD = 'INSERT INTO boards (slug, name, "order", ties) VALUES ($1, $1, $2, $3) RETURNING id'
_USER = "INSERT INTO users (id, username, username_fold, username_skeleton) VALUES ($1, $2, $2, $2)"
_numbers = itertools.count(1)


def test_sql_answers_as_a_sorted_list_would(postgres: str) -> None:
    """Every example gets a board of its own in one database."""
    with asyncio.Runner() as runner:
        pool = runner.run(_database(postgres))

        class SqlIndexMachine(IndexBehaviour):
            def open_window(self, order: Order, ties: Ties) -> None:
                self.index = SqlIndex(pool)
                self.window = self.wait(_window(pool, order, ties))

            def take(self, batch: Batch) -> None:
                self.wait(_store(pool, self.window, batch))

            def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
                return runner.run(work)

        run_state_machine_as_test(SqlIndexMachine, settings=examples(15))
        runner.run(pool.close())


async def _database(postgres: str) -> ledger_pool.Pool:
    admin = await asyncpg.connect(postgres)
    await admin.execute("CREATE DATABASE sqlindex TEMPLATE laurels_template")
    await admin.close()
    pool = await ledger_pool.connect(postgres.replace("/postgres?", "/sqlindex?"), size=6)
    await pool.executemany(_USER, [(user, f"user-{user}") for user in PEOPLE])
    return pool


async def _window(pool: ledger_pool.Pool, order: Order, ties: Ties) -> Window:
    slug = f"b{next(_numbers)}"
    board_id = await pool.fetchval(_BOARD, slug, order, ties)
    window_id = await pool.fetchval("INSERT INTO windows (board_id) VALUES ($1) RETURNING id", board_id)
    return Window(window_id, Board(board_id, slug, slug, order=order, ties=ties), ALL_TIME)


async def _store(pool: ledger_pool.Pool, window: Window, batch: Batch) -> None:
    rows = [
        (
            window.id,
            user,
            s.score,
            sort_score(s.score, window.board.order),
            from_micros(s.reached_at),
            s.version,
            s.hidden,
        )
        for user, s in batch.items()
    ]
    await pool.executemany(_PUT, rows)
