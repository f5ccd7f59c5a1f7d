"""Public reads about people: search by name, what they did, how their score grew.

Banned and erased people are not found. Shadowed ones are: the caller decides who may see what of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from ...domain.names import fold_name
from ..db.replicas import Reads

MAX_FOUND = 20
HISTORY_ROWS = 5_000
"""Actions read for one history: all of most users, the newest of a very active one."""

_LAST = "\U0010ffff"

# Under "C" names sort by code point, so that a prefix is a range.
SEARCH = """
SELECT id, username, current_score FROM users
WHERE username_fold COLLATE "C" >= $1 AND username_fold COLLATE "C" < $2
  AND status IN ('active', 'shadowed')
ORDER BY username_fold COLLATE "C" LIMIT $3"""
DONE = """
SELECT t.name, p.total_count, p.last_at FROM user_action_counters p JOIN action_types t ON t.id = p.action_type_id
WHERE p.user_id = $1 AND p.total_count > 0 ORDER BY p.total_count DESC, t.name LIMIT 100"""
HISTORY = """
WITH newest AS MATERIALIZED (
    SELECT id, new_score, (created_at AT TIME ZONE 'UTC')::date AS day FROM actions
    WHERE user_id = ANY (ARRAY[$1::bigint]) AND status = 'awarded' ORDER BY user_id, id DESC LIMIT $3
)
SELECT DISTINCT ON (day) day, new_score, (SELECT count(*) FROM newest) AS read FROM newest
WHERE day >= $2 ORDER BY day, id DESC"""


@dataclass(frozen=True, slots=True)
class History:
    """Days (UTC) with the score on the default board at the end of each; not `complete` when there was more."""

    days: list[tuple[date, int]]
    complete: bool


class People:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def search(self, prefix: str, limit: int) -> list[tuple[int, str, int]]:
        """Return (id, username, score on the default board) of users whose name has this prefix, ordered by name."""
        fold = fold_name(prefix)
        if "\0" in fold:
            return []
        rows = await self._reads.fetch(SEARCH, fold, fold + _LAST, min(limit, MAX_FOUND))
        return [(row["id"], row["username"], row["current_score"]) for row in rows]

    async def done(self, user_id: int) -> list[tuple[str, int, datetime]]:
        """Return (action type, count, time of the last), most frequent first."""
        return [tuple(row.values()) for row in await self._reads.fetch(DONE, user_id)]

    async def history(self, user_id: int, since: date) -> History:
        """Return the history of a score. O(HISTORY_ROWS) along `actions_recent`."""
        rows = await self._reads.fetch(HISTORY, user_id, since, HISTORY_ROWS)
        days = [(row["day"], row["new_score"]) for row in rows]
        return History(days, not rows or rows[0]["read"] < HISTORY_ROWS)
