"""Learn from the ledger what is usual for each action type, as the baseline of the detectors.

A user counts with their busiest minute, and the baseline is the third quartile of all users: a few cheaters among many
do not move it, and held actions do not count.
"""

from __future__ import annotations

from ...domain.detectors import Baseline
from ..db.pool import Pool, acquire

ROWS = 200_000
"""How many of the ledger's newest rows are read, which takes about a second."""
MIN_USERS = 20
"""Users that a type needs before it has a baseline."""

_USUAL = """
SELECT action_type_id,
       percentile_disc(0.75) WITHIN GROUP (ORDER BY busiest)::bigint AS per_minute,
       percentile_disc(0.75) WITHIN GROUP (ORDER BY points)::bigint AS points_per_minute
FROM (
    SELECT action_type_id, user_id, max(n) AS busiest, max(points) AS points
    FROM (
        SELECT action_type_id, user_id, count(*) AS n, least(sum(score_earned), 9223372036854775807) AS points
        FROM actions
        WHERE id > (SELECT coalesce(max(id), 0) FROM actions) - $1::bigint
          AND kind = 'completion' AND status = 'awarded'
        GROUP BY action_type_id, user_id, date_trunc('minute', created_at)
    ) minutes GROUP BY action_type_id, user_id
) users GROUP BY action_type_id HAVING count(*) >= $2"""


async def learn_baselines(pool: Pool) -> dict[int, Baseline]:
    """Return action type id -> baseline, for types that enough users have completed lately."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_USUAL, ROWS, MIN_USERS)
    return {row["action_type_id"]: Baseline(row["per_minute"], row["points_per_minute"]) for row in rows}
