"""The ranks that receipts told, kept so that a replay answers the same, also after a restart.

A rank is known only after COMMIT, when the index has taken the change, so it can't be in the
action's own row without a second write per action. It goes into `placements` instead: one row of
arrays per batch, written right behind the acknowledgement. A node that dies in between leaves
UNRECORDED placements: the points are safe, and the replay says that the rank is not known.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import structlog

from ..domain.actions import UNRECORDED, Placement, Recorded
from .batch import CommittedBatch
from .pool import UNAVAILABLE, Pool, acquire

log = structlog.get_logger(__name__)

FLUSH_GAP = 0.02
"""Seconds between two writes of placements: at most 50 extra commits a second."""

_INSERT = """
INSERT INTO placements (batch_id, seq, action_ids, ranks, previous_ranks)
VALUES ($1, $2, $3, $4, $5) ON CONFLICT (batch_id) DO NOTHING"""
_SELECT = """
SELECT p.seq, a.action_id, a.rank, a.previous_rank
FROM placements p, unnest(p.action_ids, p.ranks, p.previous_ranks) AS a (action_id, rank, previous_rank)
WHERE p.batch_id = ANY ($1::bigint[]) AND a.action_id = ANY ($2::bigint[])"""


class Receipts:
    """Remembers recent placements in memory (`recent_limit` actions) and all of them in the ledger."""

    def __init__(self, pool: Pool, *, recent_limit: int = 50_000, pending_limit: int = 5_000) -> None:
        self._pool = pool
        self._recent: OrderedDict[int, Placement] = OrderedDict()
        self._recent_limit = recent_limit
        self._pending: dict[int, tuple[CommittedBatch, Mapping[int, Placement]]] = {}
        self._pending_limit = pending_limit
        self._work = asyncio.Event()
        self._closing = False

    def remember(self, batch: CommittedBatch, placements: Mapping[int, Placement]) -> None:
        """Take note of a batch's placements (by user id). Never blocks."""
        if not batch.new_actions:
            return
        for action in batch.new_actions:
            self._recent[action.action_id] = placements[action.user_id]
        while len(self._recent) > self._recent_limit:
            self._recent.popitem(last=False)
        if any(placement.seq is not None for placement in placements.values()):
            self._enqueue(batch, placements)

    def _enqueue(self, batch: CommittedBatch, placements: Mapping[int, Placement]) -> None:
        if len(self._pending) >= self._pending_limit:
            log.warning("placements dropped, the ledger does not keep up", batch=batch.batch_id)
            return
        self._pending[batch.batch_id] = (batch, placements)
        self._work.set()

    async def find(self, actions: Sequence[Recorded]) -> dict[int, Placement]:
        """action id -> the placement its receipt told, or UNRECORDED."""
        found = {a.action_id: self._recent[a.action_id] for a in actions if a.action_id in self._recent}
        missing = [action for action in actions if action.action_id not in found]
        if missing:
            async with acquire(self._pool) as connection:
                rows = await connection.fetch(_SELECT, [a.batch_id for a in missing], [a.action_id for a in missing])
            found |= {row["action_id"]: _placement(row) for row in rows}
        return {action.action_id: found.get(action.action_id, UNRECORDED) for action in actions}

    async def run(self) -> None:
        """Write what is pending until `close()`."""
        while not (self._closing and not self._pending):
            await self._work.wait()
            self._work.clear()
            await self._flush()
            if not self._closing:
                await asyncio.sleep(FLUSH_GAP)

    def close(self) -> None:
        self._closing = True
        self._work.set()

    async def _flush(self) -> None:
        """One try. What fails stays pending, except at shutdown."""
        taken = list(self._pending.values())
        if not taken:
            return
        try:
            async with self._pool.acquire() as connection:
                await connection.executemany(_INSERT, [_row(*item) for item in taken])
        except UNAVAILABLE as error:
            log.warning("placements not written yet", reason=str(error) or repr(error))
            if self._closing:
                self._pending.clear()
            self._work.set()
            return
        for batch, _ in taken:
            del self._pending[batch.batch_id]


def _row(batch: CommittedBatch, placements: Mapping[int, Placement]) -> tuple[object, ...]:
    told = [(action.action_id, placements[action.user_id]) for action in batch.new_actions]
    told = [(action_id, placement) for action_id, placement in told if placement.seq is not None]
    return (
        batch.batch_id,
        told[0][1].seq,
        [action_id for action_id, _ in told],
        [placement.rank or 0 for _, placement in told],
        [placement.previous_rank or 0 for _, placement in told],
    )


def _placement(row: Mapping[str, int]) -> Placement:
    return Placement(row["rank"] or None, row["previous_rank"] or None, row["seq"], "exact")
