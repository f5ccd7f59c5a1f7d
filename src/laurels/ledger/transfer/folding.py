"""Fold standings and counters of users with imported history, from all of their rows.

A few users per transaction, with their rows locked: actions of these users wait for a moment and are folded exactly.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import date, datetime

from ...domain.boards import Board, Window
from ...domain.calendars import Span, local_day
from ...domain.refold import FullRefold
from ...domain.rules import Progress
from ...domain.standings import Standing, from_micros, sort_score
from ..catalogue.catalogue import BOARD_COLUMNS, board_of
from ..db.pool import Connection, Pool, acquire
from ..events.journal import EVERY_NODE, announce
from ..standings.refolding import LockedUser, lock_user, next_standing, rows_of
from ..write.sql import columns

USERS_AT_ONCE = 50

_LEFT = "SELECT count(*) FROM pending_refolds"
# Taken before the rows are read: an import of more rows waits meanwhile, and marks the user again.
_TAKE = """
DELETE FROM pending_refolds WHERE user_id IN (
    SELECT user_id FROM pending_refolds ORDER BY user_id LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING user_id"""
_WINDOWS = f"""
SELECT w.id AS window_id, w.starts_at, w.ends_at, b.*
FROM windows w JOIN (SELECT {BOARD_COLUMNS} FROM boards WHERE archived_at IS NULL) b ON b.id = w.board_id"""
_PRESENT = """
SELECT user_id, window_id, score, (extract(epoch FROM reached_at) * 1000000)::bigint, version, hidden, void
FROM standings WHERE user_id = ANY ($1::bigint[])"""
_PUT_STANDINGS = """
INSERT INTO standings (window_id, user_id, score, sort_score, reached_at, version, hidden, void)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::timestamptz[], $6::bigint[],
                     $7::boolean[], $8::boolean[])
ON CONFLICT (user_id, window_id) DO UPDATE
SET score = EXCLUDED.score, sort_score = EXCLUDED.sort_score, reached_at = EXCLUDED.reached_at,
    version = EXCLUDED.version, hidden = EXCLUDED.hidden, void = EXCLUDED.void"""
_PUT_USERS = """
UPDATE users u SET current_score = n.score, points_today = n.points, points_day = $4
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS n (id, score, points) WHERE u.id = n.id"""
_PUT_PROGRESS = """
INSERT INTO user_action_counters
    (user_id, action_type_id, total_count, day, day_count, last_at, hour_count, minute_count, streak)
SELECT * FROM unnest($1::bigint[], $2::int[], $3::bigint[], $4::date[], $5::bigint[], $6::timestamptz[], $7::bigint[],
                     $8::bigint[], $9::bigint[])
ON CONFLICT (user_id, action_type_id) DO UPDATE
SET total_count = EXCLUDED.total_count, day = EXCLUDED.day, day_count = EXCLUDED.day_count,
    last_at = EXCLUDED.last_at, hour_count = EXCLUDED.hour_count, minute_count = EXCLUDED.minute_count,
    streak = EXCLUDED.streak"""

_Windows = dict[Board, dict[datetime | None, Window]]
_Folded = list[tuple[LockedUser, FullRefold]]


async def analyse(pool: Pool) -> None:
    """Update the planner's statistics: until the next autovacuum it would plan for the rows there were before."""
    async with acquire(pool) as connection:
        await connection.execute("SET statement_timeout = 0")
        await connection.execute("ANALYZE users, actions, standings, user_action_counters")


async def left_to_fold(pool: Pool) -> int:
    """Return how many users have imported rows that are not folded."""
    async with acquire(pool) as connection:
        return int(await connection.fetchval(_LEFT))


async def fold_imported(pool: Pool) -> AsyncGenerator[int, None]:
    """Fold all remaining users; yield how many were folded in each transaction."""
    async with acquire(pool) as connection:
        while True:
            async with connection.transaction():
                user_ids = sorted(row["user_id"] for row in await connection.fetch(_TAKE, USERS_AT_ONCE))
                await _fold(connection, user_ids)
            if not user_ids:
                return
            yield len(user_ids)


async def _fold(connection: Connection, user_ids: list[int]) -> None:
    """Fold these users. Their standings and counters are written by one statement each, whatever their number."""
    if not user_ids:
        return
    users = [await lock_user(connection, user_id) for user_id in user_ids]
    windows = await _windows(connection)
    today = local_day(users[0].zone, await connection.fetchval("SELECT clock_timestamp()"))
    folded = [(user, await _refold_user(connection, user, windows, today)) for user in users]
    await _put_standings(connection, folded)
    scores = [(user.id, _score(refold), refold.points) for user, refold in folded]
    await connection.execute(_PUT_USERS, *columns(scores, 3), today)
    counters = [(user.id, *_counters(kind, p)) for user, refold in folded for kind, p in refold.progress.items()]
    await connection.execute(_PUT_PROGRESS, *columns(counters, 9))
    await announce(connection, EVERY_NODE, "standings", user_ids)


async def _refold_user(connection: Connection, user: LockedUser, windows: _Windows, today: date) -> FullRefold:
    refold = FullRefold(windows, today, user.zone)
    async for page in rows_of(connection, user.id):
        for row in page:
            refold.take(row)
    return refold


async def _put_standings(connection: Connection, folded: _Folded) -> None:
    rows = await connection.fetch(_PRESENT, [user.id for user, _ in folded])
    present = {(user_id, window_id): Standing(*members) for user_id, window_id, *members in map(tuple, rows)}
    changed = [
        (window, user.id, after)
        for user, refold in folded
        for window in refold.windows
        if (after := next_standing(present.get((user.id, window.id)), refold.standings[window.id], user)) is not None
    ]
    await connection.execute(_PUT_STANDINGS, *columns([_standing(*change) for change in changed], 8))


def _standing(window: Window, user_id: int, s: Standing) -> tuple[object, ...]:
    order = window.board.order
    reached_at = from_micros(s.reached_at)
    return window.id, user_id, s.score, sort_score(s.score, order), reached_at, s.version, s.hidden, s.void


def _score(refold: FullRefold) -> int:
    """Return the score on the default board."""
    return next((refold.standings[window.id].score for window in refold.windows if window.board.is_default), 0)


def _counters(type_id: int, p: Progress) -> tuple[object, ...]:
    return type_id, p.total_count, p.day, p.day_count, p.last_at, p.hour_count, p.minute_count, p.streak


async def _windows(connection: Connection) -> _Windows:
    """Return every window of every living board, by its start; read with the users locked, so that none is missing."""
    found: _Windows = {}
    for row in await connection.fetch(_WINDOWS):
        board = board_of(row)
        window = Window(row["window_id"], board, Span(row["starts_at"], row["ends_at"]))
        found.setdefault(board, {})[row["starts_at"]] = window
    return found
