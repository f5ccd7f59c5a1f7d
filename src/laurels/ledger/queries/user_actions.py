"""Reads that need no index: receipts and recent actions of one user."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ...domain.actions import Recorded
from ...domain.errors import Code, LaurelsError
from ..db.pool import acquire_within
from ..db.replicas import Reads

# ANY instead of = as in all such look-ups: see "Plans" in ARCHITECTURE.md.
RECENT_ACTIONS = """
SELECT a.id, t.name AS action_type, a.action_identifier, a.score_earned, a.new_score, a.status,
       a.completed_at, a.created_at
FROM actions a JOIN action_types t ON t.id = a.action_type_id
WHERE a.user_id = ANY (ARRAY[$1::bigint]) AND a.kind = 'completion' ORDER BY a.user_id, a.id DESC LIMIT $2"""
RECEIPT = """
SELECT a.id, a.user_id, t.name AS action_type, a.action_identifier, a.fingerprint, a.score_earned,
       a.new_score, a.completed_at, a.batch_id, a.status, a.reason
FROM actions a JOIN action_types t ON t.id = a.action_type_id
WHERE a.user_id = $1 AND a.action_identifier = $2 AND a.kind = 'completion'"""


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One action of a user, as that user may see it."""

    action_id: int
    action_type: str
    action_identifier: str
    score_earned: int
    new_score: int
    status: str
    completed_at: datetime
    created_at: datetime


class Readers:
    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def clock(self) -> datetime:
        """Return the time of the ledger, which all nodes share."""
        async with acquire_within(self._reads.primary) as connection:
            now: datetime = await connection.fetchval("SELECT clock_timestamp()")
        return now

    async def recent_actions(self, user_id: int, limit: int) -> list[StoredRow]:
        """Return a user's recent actions, newest first."""
        rows = await self._reads.fetch(RECENT_ACTIONS, user_id, limit)
        return [StoredRow(*row.values()) for row in rows]

    async def receipt(self, user_id: int, identifier: str) -> Recorded:
        """Return the receipt of an action. Raises LaurelsError(RECEIPT_UNKNOWN)."""
        row = await self._reads.fetchrow(RECEIPT, user_id, identifier)
        if row is None:
            raise LaurelsError(Code.RECEIPT_UNKNOWN, f"You have no action {identifier!r}: it was never accepted.")
        return Recorded(*row.values())
