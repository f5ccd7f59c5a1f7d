"""The same behaviour straight from the ledger: the same batches, the same answers as a sorted list."""

from __future__ import annotations

import random

import pytest
from tests.ranking.model import Model
from tests.ranking.test_memory_index import row, rows

from laurels.domain.boards import ALL_TIME, Board, Window
from laurels.domain.standings import INT64_MAX, INT64_MIN, Standing, from_micros, sort_score
from laurels.ledger.pool import Pool
from laurels.ranking.sql import SqlIndex

_PUT = """
INSERT INTO standings (window_id, user_id, score, sort_score, reached_at, version, hidden)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (user_id, window_id) DO UPDATE
SET score = $3, sort_score = $4, reached_at = $5, version = $6, hidden = $7"""
_USER = "INSERT INTO users (id, username, username_fold, username_skeleton) VALUES ($1, $2, $2, $2)"


@pytest.mark.parametrize("order", ["desc", "asc"])
@pytest.mark.parametrize("ties", ["ordinal", "competition", "dense"])
async def test_sql_answers_as_a_sorted_list_would(pool: Pool, order: str, ties: str) -> None:
    """Ties in all three policies, both orders, hidden users, scores at both ends of int64."""
    window = await _window(pool, order, ties)
    model, index, rng = Model(window), SqlIndex(pool), random.Random(f"{order}{ties}")
    for step in range(25):
        batch = _batch(rng, step)
        model.apply(batch)
        await _store(pool, window, batch)
        top = await index.top(window, 5)
        assert rows(top.places) == model.rows()[:5]
        assert top.total == len(model.rows())
        for user in range(1, 13):
            around = await index.around(window, user, 2)
            assert rows(around.places) == model.around(user, 2)
        places = await index.places(window, range(1, 13))
        assert {user: row(place) for user, place in places.items()} == {r[1]: r for r in model.rows()}


async def _window(pool: Pool, order: str, ties: str) -> Window:
    async with pool.acquire() as connection:
        board_id = await connection.fetchval(
            'INSERT INTO boards (slug, name, "order", ties) VALUES ($1, $1, $2, $3) RETURNING id', "t", order, ties
        )
        window_id = await connection.fetchval("INSERT INTO windows (board_id) VALUES ($1) RETURNING id", board_id)
        await connection.executemany(_USER, [(user, f"user-{user}") for user in range(1, 13)])
    return Window(window_id, Board(board_id, "t", "t", order=order, ties=ties), ALL_TIME)


def _batch(rng: random.Random, step: int) -> list[tuple[int, Standing]]:
    scores = [*range(-3, 4), 2**53, 2**53 + 1, INT64_MIN, INT64_MAX]
    users = rng.sample(range(1, 13), rng.randint(1, 6))
    return [(u, Standing(rng.choice(scores), rng.randint(0, 4), step + 1, rng.random() < 0.2)) for u in users]


async def _store(pool: Pool, window: Window, batch: list[tuple[int, Standing]]) -> None:
    async with pool.acquire() as connection:
        for user, s in batch:
            value = sort_score(s.score, window.board.order)
            await connection.execute(
                _PUT, window.id, user, s.score, value, from_micros(s.reached_at), s.version, s.hidden
            )
