"""Promises of standings read whole."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
from tests.ledger.conftest import add_users

from laurels.domain.boards import Board, Window
from laurels.domain.calendars import ALL_TIME
from laurels.domain.standings import INT64_MAX, INT64_MIN, Order, from_micros, micros, order_key, sort_score
from laurels.ledger.catalogue.catalogue import Catalogue
from laurels.ledger.db.pool import Pool
from laurels.ledger.standings import standings

_WRITE = """
INSERT INTO standings (window_id, user_id, score, sort_score, reached_at, version, hidden)
VALUES ($1, $2, $3, $4, $5, $6, $7)"""
EARLY, LATE = datetime(2, 1, 1, tzinfo=UTC), datetime(9999, 12, 30, 23, 59, 59, 999_999, tzinfo=UTC)


@pytest.mark.parametrize("order", ["desc", "asc"])
async def test_packed_standings_are_order_keys_best_first(pool: Pool, order: Order) -> None:
    """The bytes that PostgreSQL makes are those that Python makes, at both ends of every field; hidden ones are left
    out."""
    catalogue = Catalogue(pool)
    await catalogue.refresh()
    window_id = (await catalogue.window(catalogue.default_board)).id
    window, chance, rows = Window(window_id, Board(1, "b", "B", order=order), ALL_TIME), random.Random(1), []
    await add_users(pool, 60)
    for user in range(1, 61):
        score = chance.choice([INT64_MIN, INT64_MAX, 2**53 + 1, *range(-2, 3)])
        at = chance.choice([EARLY, LATE, from_micros(-1), from_micros(1_700_000_000_000_000 + user % 3)])
        version, hidden = chance.choice([1, 255, 2**40]), user % 7 == 0
        await pool.execute(_WRITE, window_id, user, score, sort_score(score, window.board.order), at, version, hidden)
        if not hidden:
            key = order_key(sort_score(score, window.board.order), micros(at), user)
            rows.append((key, version.to_bytes(8, "big")))
    pages = [page async for page in standings.packed(pool, window, 25)]
    assert [len(page) for page in pages] == [25 * standings.PACKED, 25 * standings.PACKED, 2 * standings.PACKED]
    assert b"".join(pages) == b"".join(version + key for key, version in sorted(rows))
