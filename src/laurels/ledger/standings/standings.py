"""Standings as rows: streamed whole for loading and proof, or looked up by user for repairs."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from ...domain.boards import Window
from ...domain.standings import Standing, micros
from ..db.pool import Connection, Pool, acquire, acquire_within
from ..write.batch import StandingChange

PAGE = 50_000

_COUNT = "SELECT count(*) FROM standings WHERE window_id = $1 AND NOT hidden"
_STREAM = """
SELECT user_id, score, (extract(epoch FROM reached_at) * 1000000)::bigint AS reached_at, version
FROM standings WHERE window_id = $1 AND NOT hidden"""
_PACKED = """
SELECT int8send(version) || int8send(sort_score # x'8000000000000000'::bigint)
    || int8send((extract(epoch FROM reached_at) * 1000000)::bigint # x'8000000000000000'::bigint) || int8send(user_id)
FROM standings WHERE window_id = $1 AND NOT hidden ORDER BY sort_score, reached_at, user_id"""
PACKED = 32
"""Bytes of a packed standing: its version and its order key."""
_OF_USERS = """
SELECT window_id, user_id, score, reached_at, version, hidden, void FROM standings
WHERE window_id = ANY ($1::bigint[]) AND user_id = ANY ($2::bigint[])"""

_RANKED = """
SELECT user_id, score, (extract(epoch FROM reached_at) * 1000000)::bigint AS reached_at, version,
       {function}() OVER (ORDER BY {order}) AS rank
FROM standings WHERE window_id = $1 AND NOT hidden"""
WINDOW_FUNCTIONS = {
    "ordinal": ("row_number", "sort_score, reached_at, user_id"),
    "competition": ("rank", "sort_score"),
    "dense": ("dense_rank", "sort_score"),
}
"""Tie policy -> the SQL window function and the order that give the same ranks as the index."""
_RANDOM = """
SELECT user_id FROM standings WHERE window_id = $1 AND user_id >= $2 AND NOT hidden
ORDER BY user_id LIMIT $3"""
_HIGHEST = "SELECT max(id) FROM users"

Member = tuple[int, Standing]


async def count(pool: Pool, window: Window) -> int:
    """Return how many standings a window shows."""
    async with acquire(pool) as connection:
        return int(await connection.fetchval(_COUNT, window.id))


async def stream(pool: Pool, window: Window) -> AsyncIterator[list[Member]]:
    """Yield every visible standing of a window at one instant, in pages of PAGE, unordered."""
    async with _reading(pool) as connection:
        cursor = await connection.cursor(_STREAM, window.id)
        while rows := await cursor.fetch(PAGE):
            yield [(user_id, Standing(score, at, version)) for user_id, score, at, version in rows]


@asynccontextmanager
async def _reading(pool: Pool) -> AsyncIterator[Connection]:
    """Yield a connection that reads many rows of one instant, at the reader's pace."""
    async with acquire(pool) as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute("SET LOCAL statement_timeout = 0")
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = '300s'")
        await connection.execute("SET LOCAL cursor_tuple_fraction = 1")  # plan for all rows, not the first few
        yield connection


async def packed(pool: Pool, window: Window, page: int) -> AsyncIterator[bytes]:
    """Yield every visible standing of a window at one instant, best first, PACKED bytes each, `page` of them at a time.

    PostgreSQL makes the bytes, which equal those of `order_key`: Python would take longer for a million rows.
    """
    async with _reading(pool) as connection:
        cursor = await connection.cursor(_PACKED, window.id)
        while rows := await cursor.fetch(page):
            yield b"".join([row[0] for row in rows])


async def of_users(pool: Pool, windows: Iterable[Window], user_ids: Sequence[int]) -> list[StandingChange]:
    """Return the stored standings of these users in these windows, hidden ones too."""
    by_id = {window.id: window for window in windows}
    async with acquire_within(pool) as connection:
        rows = await connection.fetch(_OF_USERS, list(by_id), list(user_ids))
    return [
        StandingChange(
            by_id[row["window_id"]],
            row["user_id"],
            Standing(row["score"], micros(row["reached_at"]), row["version"], row["hidden"], row["void"]),
        )
        for row in rows
    ]


async def ranked(connection: Connection, window: Window) -> AsyncIterator[tuple[int, Standing, int]]:
    """Yield (user id, standing, rank by sorting in PostgreSQL), inside the caller's transaction."""
    function, order = WINDOW_FUNCTIONS[window.board.ties]
    cursor = connection.cursor(_RANKED.format(function=function, order=order), window.id, prefetch=PAGE)
    async for user_id, score, at, version, rank in cursor:
        yield user_id, Standing(score, at, version), rank


async def random_users(pool: Pool, window: Window, size: int) -> list[int]:
    """Return up to `size` users of a window, from a random id on."""
    async with acquire(pool) as connection:
        highest = await connection.fetchval(_HIGHEST)
        start = random.randint(0, highest or 0)  # noqa: S311  a sample, not a secret
        rows = await connection.fetch(_RANDOM, window.id, start, size)
    return [row["user_id"] for row in rows]
