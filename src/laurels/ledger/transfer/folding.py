"""Standings and counters of users whose history was imported, from all of their rows.

A few users per transaction, under their locks: whoever plays meanwhile waits for a moment, and is folded exactly.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime

from ...domain.boards import Board, Span, Window, local_day
from ...domain.refold import Replay
from ...domain.rules import Progress
from ..catalogue import BOARD_COLUMNS, board_of
from ..journal import NOBODY, announce
from ..pool import Connection, Pool, acquire
from ..refolding import LockedUser, lock_user, put_standings, rows_of
from ..sql import columns

USERS_AT_ONCE = 50

_LEFT = "SELECT count(*) FROM unfolded"
# Taken before the rows are read: whoever imports more of them meanwhile waits, and marks the user anew.
_TAKE = """
DELETE FROM unfolded WHERE user_id IN (
    SELECT user_id FROM unfolded ORDER BY user_id LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING user_id"""
_WINDOWS = f"""
SELECT w.id AS window_id, w.starts_at, w.ends_at, b.*
FROM windows w JOIN (SELECT {BOARD_COLUMNS} FROM boards WHERE archived_at IS NULL) b ON b.id = w.board_id"""
_PUT_POINTS = """
UPDATE users SET points_today = $2, points_day = $3 WHERE id = $1"""
_PUT_PROGRESS = """
INSERT INTO progress (user_id, action_type_id, total_count, day, day_count, last_at, hour_count, minute_count, streak)
SELECT $1, * FROM unnest($2::int[], $3::bigint[], $4::date[], $5::bigint[], $6::timestamptz[], $7::bigint[],
                         $8::bigint[], $9::bigint[])
ON CONFLICT (user_id, action_type_id) DO UPDATE
SET total_count = EXCLUDED.total_count, day = EXCLUDED.day, day_count = EXCLUDED.day_count,
    last_at = EXCLUDED.last_at, hour_count = EXCLUDED.hour_count, minute_count = EXCLUDED.minute_count,
    streak = EXCLUDED.streak"""


async def left_to_fold(pool: Pool) -> int:
    """How many users have imported rows that are not folded."""
    async with acquire(pool) as connection:
        return int(await connection.fetchval(_LEFT))


async def fold_imported(pool: Pool) -> AsyncGenerator[int, None]:
    """Fold everybody who is left; yields how many were folded in each transaction."""
    async with acquire(pool) as connection:
        while True:
            async with connection.transaction():
                user_ids = sorted(row["user_id"] for row in await connection.fetch(_TAKE, USERS_AT_ONCE))
                await _fold(connection, user_ids)
            if not user_ids:
                return
            yield len(user_ids)


async def _fold(connection: Connection, user_ids: list[int]) -> None:
    if not user_ids:
        return
    users = [await lock_user(connection, user_id) for user_id in user_ids]
    windows = await _windows(connection)
    now = await connection.fetchval("SELECT clock_timestamp()")
    for user in users:
        await _fold_user(connection, user, windows, now)
    await announce(connection, NOBODY, "standings", user_ids)


async def _fold_user(
    connection: Connection, user: LockedUser, windows: dict[Board, dict[datetime | None, Window]], now: datetime
) -> None:
    today = local_day(user.zone, now)
    replay = Replay(windows, today, user.zone)
    async for page in rows_of(connection, user.id):
        for row in page:
            replay.take(row)
    await put_standings(connection, user, replay.windows, replay.standings)
    await connection.execute(_PUT_POINTS, user.id, replay.points, today)
    await connection.execute(
        _PUT_PROGRESS, user.id, *columns([_counters(type_id, p) for type_id, p in replay.progress.items()], 8)
    )


def _counters(type_id: int, p: Progress) -> tuple[object, ...]:
    return type_id, p.total_count, p.day, p.day_count, p.last_at, p.hour_count, p.minute_count, p.streak


async def _windows(connection: Connection) -> dict[Board, dict[datetime | None, Window]]:
    """Every window of every living board, by when it begins; read under the locks, so that none is missing."""
    found: dict[Board, dict[datetime | None, Window]] = {}
    for row in await connection.fetch(_WINDOWS):
        board = board_of(row)
        window = Window(row["window_id"], board, Span(row["starts_at"], row["ends_at"]))
        found.setdefault(board, {})[row["starts_at"]] = window
    return found
