"""Ranks counted in the ledger: the proof of the index, and its fallback while it is unavailable.

A rank counts the better standings along the database index `standings_order`: exact, O(rank) on an index-only scan.
Each answer is one statement, so score, rank and total are of one instant. `seq` is the newest journal entry visible at
that instant.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

import asyncpg

from ..domain.boards import Board, Window
from ..domain.standings import INT64_MAX, Standing, from_micros, micros, sort_score, split_key
from ..ledger.db.pool import Pool, acquire
from ..ledger.db.replicas import Reads
from .index import LEDGER, Place, Position, Ranking, ranked_in_order

_BETTER = {
    "ordinal": """
        (SELECT count(*) FROM standings b WHERE b.window_id = m.window_id AND NOT b.hidden
         AND (b.sort_score, b.reached_at, b.user_id) < (m.sort_score, m.reached_at, m.user_id))""",
    "competition": """
        (SELECT count(*) FROM standings b WHERE b.window_id = m.window_id AND NOT b.hidden
         AND b.sort_score < m.sort_score)""",
    "dense": """
        (SELECT count(DISTINCT b.sort_score) FROM standings b WHERE b.window_id = m.window_id AND NOT b.hidden
         AND b.sort_score < m.sort_score)""",
}

_TOTALS = """
    (SELECT coalesce(max(id), 0) FROM journal) AS seq,
    (SELECT count(*) FROM standings WHERE window_id = $1 AND NOT hidden) AS total"""

_TOP = """
WITH members AS MATERIALIZED (
    SELECT window_id, user_id, score, sort_score, reached_at FROM standings
    WHERE window_id = $1 AND NOT hidden
    ORDER BY window_id, sort_score, reached_at, user_id LIMIT $2
)
SELECT t.seq, t.total, m.user_id, m.score, m.reached_at, 1 + {better} AS rank
FROM (SELECT {totals}) t LEFT JOIN members m ON true
ORDER BY m.sort_score, m.reached_at, m.user_id"""

_AROUND = """
WITH me AS (
    SELECT * FROM standings WHERE window_id = $1 AND user_id = $2 AND NOT hidden
), members AS MATERIALIZED (
    (SELECT s.* FROM me, LATERAL (
        SELECT * FROM standings b WHERE b.window_id = $1 AND NOT b.hidden
          AND (b.sort_score, b.reached_at, b.user_id) < (me.sort_score, me.reached_at, me.user_id)
        ORDER BY b.window_id DESC, b.sort_score DESC, b.reached_at DESC, b.user_id DESC LIMIT $3) s)
    UNION ALL
    (SELECT s.* FROM me, LATERAL (
        SELECT * FROM standings b WHERE b.window_id = $1 AND NOT b.hidden
          AND (b.sort_score, b.reached_at, b.user_id) >= (me.sort_score, me.reached_at, me.user_id)
        ORDER BY b.window_id, b.sort_score, b.reached_at, b.user_id LIMIT $3 + 1) s)
)
SELECT t.seq, t.total, m.user_id, m.score, m.reached_at, 1 + {better} AS rank
FROM (SELECT {totals}) t LEFT JOIN members m ON true
ORDER BY m.sort_score, m.reached_at, m.user_id"""

# Like _AROUND, for a standing that is not on the board: it is in the list, but counts in no rank and not in the total.
_AROUND_HIDDEN = """
WITH me AS (
    SELECT * FROM standings WHERE window_id = $1 AND user_id = $2 AND hidden AND NOT void
), members AS MATERIALIZED (
    (SELECT s.* FROM me, LATERAL (
        SELECT * FROM standings b WHERE b.window_id = $1 AND NOT b.hidden
          AND (b.sort_score, b.reached_at, b.user_id) < (me.sort_score, me.reached_at, me.user_id)
        ORDER BY b.window_id DESC, b.sort_score DESC, b.reached_at DESC, b.user_id DESC LIMIT $3) s)
    UNION ALL
    SELECT * FROM me
    UNION ALL
    (SELECT s.* FROM me, LATERAL (
        SELECT * FROM standings b WHERE b.window_id = $1 AND NOT b.hidden
          AND (b.sort_score, b.reached_at, b.user_id) > (me.sort_score, me.reached_at, me.user_id)
        ORDER BY b.window_id, b.sort_score, b.reached_at, b.user_id LIMIT $3) s)
)
SELECT t.seq, t.total, m.user_id, m.score, m.reached_at, 1 + {better} AS rank
FROM (SELECT {totals}) t LEFT JOIN members m ON true
ORDER BY m.sort_score, m.reached_at, m.user_id"""

_PAGE = """
WITH members AS MATERIALIZED (
    SELECT window_id, user_id, score, sort_score, reached_at FROM standings
    WHERE window_id = $1 AND NOT hidden AND {behind}
    ORDER BY window_id, sort_score, reached_at, user_id OFFSET {skipped} LIMIT $2
), first AS (
    SELECT * FROM members ORDER BY sort_score, reached_at, user_id LIMIT 1
)
SELECT t.seq, t.total, m.user_id, m.score, m.reached_at,
       (SELECT 1 + {ahead} FROM first m) AS first_ordinal, (SELECT 1 + {better} FROM first m) AS first_rank
FROM (SELECT {totals}) t LEFT JOIN members m ON true
ORDER BY m.sort_score, m.reached_at, m.user_id"""
FROM_POSITION = _PAGE.replace("{behind}", "true").replace("{skipped}", "$3")
BEHIND_KEY = _PAGE.replace("{behind}", "(sort_score, reached_at, user_id) > ($3, $4, $5)").replace("{skipped}", "0")

_PLACE_OF = """
SELECT m.user_id, m.score, m.reached_at, 1 + {better} AS rank
FROM (SELECT $1::bigint AS window_id, $2::bigint AS user_id, $3::bigint AS score, $4::bigint AS sort_score,
             $5::timestamptz AS reached_at) m"""

_PLACES = """
WITH members AS MATERIALIZED (
    SELECT window_id, user_id, score, sort_score, reached_at FROM standings
    WHERE window_id = $1 AND user_id = ANY ($2::bigint[]) AND NOT hidden
)
SELECT t.seq, t.total, m.user_id, m.score, m.reached_at, 1 + {better} AS rank
FROM (SELECT {totals}) t LEFT JOIN members m ON true"""
_EARLIEST, _LATEST = micros(datetime.min.replace(tzinfo=UTC)), micros(datetime.max.replace(tzinfo=UTC))
_POSITION = "SELECT coalesce(max(id), 0) FROM journal"


def query(template: str, board: Board) -> str:
    """Return one of the templates above under the board's tie policy."""
    return template.format(better=_BETTER[board.ties], ahead=_BETTER["ordinal"], totals=_TOTALS)


class SqlIndex:
    """An Index without a copy. Reads the standings themselves: on the primary, or through `reads` if given."""

    def __init__(self, pool: Pool, *, reads: Reads | None = None) -> None:
        self.pool = pool
        self._reads = reads

    async def top(self, window: Window, size: int) -> Ranking:
        return await self._ranking(query(_TOP, window.board), window.id, size)

    async def around(self, window: Window, user_id: int, radius: int) -> Ranking:
        return await self._ranking(query(_AROUND, window.board), window.id, user_id, radius)

    async def page(self, window: Window, first: int, size: int) -> Ranking:
        """Return `size` places from position `first`. O(first + size): the positions before it are counted."""
        return await self._page(FROM_POSITION, window, size, first - 1)

    async def after(self, window: Window, key: bytes, size: int) -> Ranking:
        """Return the `size` places behind an order key. O(their rank)."""
        sort_value, reached_at, user_id = split_key(key)
        # A client may send any 24 bytes: what PostgreSQL cannot hold becomes the nearest value that it can.
        instant = from_micros(min(max(reached_at, _EARLIEST), _LATEST))
        return await self._page(BEHIND_KEY, window, size, sort_value, instant, min(user_id, INT64_MAX))

    async def _page(self, template: str, window: Window, size: int, *arguments: object) -> Ranking:
        rows = await self._rows(query(template, window.board), window.id, size, *arguments)
        first = rows[0]
        found = [Place(0, r["user_id"], r["score"], micros(r["reached_at"])) for r in rows if r["user_id"] is not None]
        places = ranked_in_order(window.board, first["first_ordinal"] or 0, first["first_rank"] or 0, found)
        return Ranking(LEDGER, first["seq"], first["total"], places)

    async def places(self, window: Window, user_ids: Collection[int]) -> Ranking:
        return await self._ranking(query(_PLACES, window.board), window.id, list(user_ids))

    async def place_of(self, window: Window, user_id: int, standing: Standing) -> Place:
        value, reached_at = sort_score(standing.score, window.board.order), from_micros(standing.reached_at)
        async with acquire(self.pool) as connection:
            row = await connection.fetchrow(
                query(_PLACE_OF, window.board), window.id, user_id, standing.score, value, reached_at
            )
        return _place(row)

    async def around_hidden(self, window: Window, user_id: int, radius: int) -> Ranking:
        """Return a standing that is not on the board among those that are; their ranks and the total don't count it."""
        return await self._ranking(query(_AROUND_HIDDEN, window.board), window.id, user_id, radius)

    async def position(self, window: Window) -> Position:
        """Return the newest journal entry, which is the same for every window."""
        del window
        async with acquire(self.pool) as connection:
            return Position(LEDGER, await connection.fetchval(_POSITION))

    async def _rows(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        if self._reads is not None:
            return await self._reads.fetch_heavy(statement, *arguments)
        async with acquire(self.pool) as connection:
            rows: list[asyncpg.Record] = await connection.fetch(statement, *arguments)
            return rows

    async def _ranking(self, statement: str, *arguments: object) -> Ranking:
        rows = await self._rows(statement, *arguments)
        places = tuple(_place(row) for row in rows if row["user_id"] is not None)
        return Ranking(LEDGER, rows[0]["seq"], rows[0]["total"], places)


def _place(row: asyncpg.Record) -> Place:
    return Place(row["rank"], row["user_id"], row["score"], micros(row["reached_at"]))
