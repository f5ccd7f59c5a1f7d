"""Fold one user's standings, score and counters from the user's rows, with the user's row locked.

O(rows of the user), in pages: a row may be undone long after, and only all rows determine the best without it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from ...domain.boards import Window
from ...domain.calendars import Span
from ...domain.errors import Code, LaurelsError
from ...domain.refold import LedgerRowToFold, Refold
from ...domain.rules import Progress
from ...domain.standings import Standing, from_micros, sort_score
from ..catalogue.catalogue import BOARD_COLUMNS, board_of
from ..db.pool import Connection

PAGE = 10_000

ROWS_OF_USER = """
SELECT a.id, a.kind, a.status, a.action_type_id, a.score_earned, a.created_at, r.id IS NOT NULL AS undone
FROM actions a LEFT JOIN actions r ON r.reverses = a.id
WHERE a.user_id = ANY (ARRAY[$1::bigint]) AND a.id > $2 AND a.id <> $3
ORDER BY a.user_id DESC, a.id LIMIT $4"""
# Writes the row instead of locking it: a batch that was judged before then finds another version of its user.
_LOCK = """
UPDATE users SET updated_at = clock_timestamp() WHERE id = $1
RETURNING id, status, points_day,
    (SELECT coalesce(calendar ->> 'time_zone', 'UTC') FROM boards WHERE is_default) AS zone"""
WINDOWS_COVERING = f"""
SELECT w.id AS window_id, w.starts_at, w.ends_at, b.*
FROM windows w JOIN (SELECT {BOARD_COLUMNS} FROM boards WHERE archived_at IS NULL) b ON b.id = w.board_id
WHERE (w.starts_at IS NULL OR w.starts_at <= $1) AND (w.ends_at IS NULL OR w.ends_at > $1)"""
_STANDINGS = """
SELECT window_id, score, (extract(epoch FROM reached_at) * 1000000)::bigint, version, hidden, void
FROM standings WHERE user_id = $1 AND window_id = ANY ($2::bigint[])"""
PUT_STANDING = """
INSERT INTO standings (window_id, user_id, score, sort_score, reached_at, version, hidden, void)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (user_id, window_id) DO UPDATE
SET score = EXCLUDED.score, sort_score = EXCLUDED.sort_score, reached_at = EXCLUDED.reached_at,
    version = EXCLUDED.version, hidden = EXCLUDED.hidden, void = EXCLUDED.void"""
_PUT_PROGRESS = """
INSERT INTO user_action_counters
    (user_id, action_type_id, total_count, day, day_count, last_at, hour_count, minute_count, streak)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (user_id, action_type_id) DO UPDATE
SET total_count = EXCLUDED.total_count, day = EXCLUDED.day, day_count = EXCLUDED.day_count,
    last_at = EXCLUDED.last_at, hour_count = EXCLUDED.hour_count, minute_count = EXCLUDED.minute_count,
    streak = EXCLUDED.streak"""
_DROP_PROGRESS = "DELETE FROM user_action_counters WHERE user_id = $1 AND action_type_id = $2"
_PUT_SCORE = """
UPDATE users SET current_score = $2, updated_at = clock_timestamp() WHERE id = $1 AND current_score <> $2"""
_PUT_POINTS = "UPDATE users SET points_today = $2 WHERE id = $1 AND points_today <> $2"


@dataclass(frozen=True, slots=True)
class LockedUser:
    """A user whose row is locked until the transaction ends.

    `points_day`: the day that `points_today` counts, in the time zone of the default board, `zone`.
    """

    id: int
    status: str
    points_day: date | None
    zone: str


async def lock_user(connection: Connection, user_id: int) -> LockedUser:
    """Lock a user's row. Batches with this user wait: keep the transaction short. Raises LaurelsError(USER_UNKNOWN)."""
    row = await connection.fetchrow(_LOCK, user_id)
    if row is None:
        raise LaurelsError(Code.USER_UNKNOWN, f"There is no user with id {user_id}.")
    return LockedUser(*row.values())


async def windows_covering(connection: Connection, instant: datetime) -> list[Window]:
    """Return the window of every living board at an instant, also if that window has ended."""
    rows = await connection.fetch(WINDOWS_COVERING, instant)
    return [Window(row["window_id"], board_of(row), Span(row["starts_at"], row["ends_at"])) for row in rows]


async def rows_of(connection: Connection, user_id: int, *, without: int = 0) -> AsyncIterator[list[LedgerRowToFold]]:
    """Yield all rows of a user in pages, oldest first, with the user's row locked; `without` one of them."""
    last = 0
    while page := await connection.fetch(ROWS_OF_USER, user_id, last, without, PAGE):
        yield [LedgerRowToFold(*row) for row in page]
        last = page[-1]["id"]


async def refold_standings(connection: Connection, user: LockedUser, windows: Sequence[Window]) -> None:
    """Write the user's standings in these windows, and `current_score` when the default board is among them."""
    refold = Refold(windows)
    async for page in rows_of(connection, user.id):
        refold.take(page)
    await put_standings(connection, user, windows, refold.standings)


async def refold_all(
    connection: Connection, user: LockedUser, windows: Sequence[Window], type_id: int | None, *, without: int = 0
) -> None:
    """Do as `refold`, and write the counters that rules read: of one action type, and the points of the day.

    `without` a row that is about to be undone.
    """
    refold = Refold(windows, counted=type_id, day=user.points_day, zone=user.zone)
    async for page in rows_of(connection, user.id, without=without):
        refold.take(page)
    await put_standings(connection, user, windows, refold.standings)
    if type_id is not None:
        await _put_progress(connection, user.id, type_id, refold.progress)
    await connection.execute(_PUT_POINTS, user.id, refold.points)


async def put_standings(
    connection: Connection, user: LockedUser, windows: Sequence[Window], folded: dict[int, Standing]
) -> None:
    """Write the folded standings in `windows`; a standing for which nothing counts becomes void."""
    present = await standings_of(connection, user.id, windows)
    for window in windows:
        after = next_standing(present.get(window.id), folded.get(window.id), user)
        if after is not None:
            await _put(connection, window, user.id, after)
        if window.board.is_default:
            score = folded[window.id].score if window.id in folded else 0
            await connection.execute(_PUT_SCORE, user.id, score)


async def standings_of(connection: Connection, user_id: int, windows: Sequence[Window]) -> dict[int, Standing]:
    """Return window id -> standing, void and hidden ones too."""
    rows = await connection.fetch(_STANDINGS, user_id, [window.id for window in windows])
    return {window_id: Standing(*members) for window_id, *members in map(tuple, rows)}


def next_standing(before: Standing | None, folded: Standing | None, user: LockedUser) -> Standing | None:
    """Return the standing to write for a folded one (None: nothing counts); None if it is already stored."""
    hidden = user.status != "active"
    version = 1 if before is None else before.version + 1
    if folded is None:
        stands = before is not None and not before.void
        return Standing(0, 0, version, hidden=True, void=True) if stands else None
    after = Standing(folded.score, folded.reached_at, version, hidden)
    same = before is not None and (before.score, before.reached_at, before.hidden, before.void) == (
        after.score,
        after.reached_at,
        after.hidden,
        after.void,
    )
    return None if same else after


async def _put(connection: Connection, window: Window, user_id: int, standing: Standing) -> None:
    await connection.execute(
        PUT_STANDING,
        window.id,
        user_id,
        standing.score,
        sort_score(standing.score, window.board.order),
        from_micros(standing.reached_at),
        standing.version,
        standing.hidden,
        standing.void,
    )


async def _put_progress(connection: Connection, user_id: int, type_id: int, progress: Progress | None) -> None:
    if progress is None:
        await connection.execute(_DROP_PROGRESS, user_id, type_id)
        return
    p = progress
    await connection.execute(
        _PUT_PROGRESS,
        user_id,
        type_id,
        p.total_count,
        p.day,
        p.day_count,
        p.last_at,
        p.hour_count,
        p.minute_count,
        p.streak,
    )
