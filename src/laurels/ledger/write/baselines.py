"""What is usual for each action type, learnt from the ledger: the measure of what is not.

Of every user the busiest minute counts, and of all users the third quartile: a few cheaters among many
don't move it, and what is held does not count.
"""

from __future__ import annotations

from ...domain.detectors import Baseline
from ..db.pool import Pool, acquire

ROWS = 200_000
"""The newest rows of the ledger that are looked at: about a second of reading."""
FEWEST = 20
"""With fewer users than this nothing is called usual."""

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
    """Action type id -> what is usual, for types that enough users have done lately."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_USUAL, ROWS, FEWEST)
    return {row["action_type_id"]: Baseline(row["per_minute"], row["points_per_minute"]) for row in rows}
