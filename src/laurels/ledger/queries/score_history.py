"""A score explained row by row: every row of a user, what it counts, why, and what undid it.

The awarded rows add up: their sum is the score wherever the default board sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec

from ...domain.errors import Code, LaurelsError
from ..db.paging import Page, keys_of, page
from ..db.replicas import Reads

ROWS = """
SELECT a.id, a.kind, t.name AS action_type, a.action_identifier, a.status, a.score_earned, a.reason, a.reverses,
       r.id AS reversed_by, a.metadata::text AS metadata, a.completed_at, a.created_at,
       v.code AS held_code, v.detail AS held_detail, v.decided_by, v.reason AS decision_reason
FROM actions a
LEFT JOIN action_types t ON t.id = a.action_type_id
LEFT JOIN actions r ON r.reverses = a.id
LEFT JOIN reviews v ON v.action_id = a.id
WHERE a.user_id = ANY (ARRAY[$1::bigint]) AND a.id < coalesce($2::bigint, 9223372036854775807)
ORDER BY a.user_id, a.id DESC LIMIT $3"""
TOTALS = """
SELECT u.current_score AS score,
       (SELECT coalesce(sum(score_earned), 0) FROM actions
        WHERE user_id BETWEEN $1 AND $1 AND status = 'awarded') AS total
FROM users u WHERE u.id = $1"""


class LedgerEntry(msgspec.Struct, frozen=True, gc=False):
    """One row of the ledger. `metadata` is JSON text.

    The members from `held_code` on come from its review, for reviewers.
    """

    id: int
    kind: str
    action_type: str | None
    action_identifier: str | None
    status: str
    score_earned: int
    reason: str | None
    reverses: int | None
    reversed_by: int | None
    metadata: str | None
    completed_at: datetime
    created_at: datetime
    held_code: str | None
    held_detail: str | None
    decided_by: str | None
    decision_reason: str | None

    @property
    def counted(self) -> int:
        return self.score_earned if self.status == "awarded" else 0

    @property
    def explanation(self) -> str | None:
        """Return a plain-text reason for what the row counts; None: it counts the base score of its type."""
        if self.status == "held":
            return f"Waits for a review; would count {self.score_earned}."
        if self.status == "rejected":
            return f"Not counted after a review: {self.decision_reason}"
        return self.reason


@dataclass(frozen=True, slots=True)
class Statement:
    """A page of rows, newest first, with the `score` on the default board and the `total` of all awarded rows."""

    score: int
    total: int
    page: Page[LedgerEntry]


async def of_user(reads: Reads, user_id: int, cursor: str | None, limit: int) -> Statement:
    """Return a page of a user's rows. O(rows of the user).

    Raises LaurelsError(USER_UNKNOWN), or INVALID_REQUEST for a cursor of another list.
    """
    (before,) = keys_of(cursor, int)
    totals = await reads.fetchrow(TOTALS, user_id)
    if totals is None:
        raise LaurelsError(Code.USER_UNKNOWN, f"There is no user with id {user_id}.")
    entries = await _entries(reads, user_id, before, limit + 1)
    return Statement(totals["score"], int(totals["total"]), page(entries, limit, lambda entry: (entry.id,)))


async def entries_before(reads: Reads, user_id: int, before: int | None, limit: int) -> list[LedgerEntry]:
    """Return rows older than the one with id `before` (None: the newest), newest first."""
    return await _entries(reads, user_id, before, limit)


async def _entries(reads: Reads, user_id: int, before: int | None, limit: int) -> list[LedgerEntry]:
    return [LedgerEntry(*row.values()) for row in await reads.fetch(ROWS, user_id, before, limit)]
