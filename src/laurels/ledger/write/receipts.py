"""The ranks that receipts told, kept so that a replay answers the same, also after a restart.

A rank is known only after COMMIT, when the index has taken the change, so it can't be in the
action's own row without a second write per action. It goes into `placements` instead: one row of
arrays per batch, one entry per user, written right behind the acknowledgement. A node that dies in
between leaves UNRECORDED placements: the points are safe, and the replay says that the rank is not known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from ...concurrency.bounded_dict import BoundedDict
from ...domain.actions import UNRECORDED, Placement, Recorded
from ..db.pool import ANSWER_SECONDS, QUERY_FAILURES, Connection, Pool, acquire, acquire_within, closed_at
from ..db.retries import Retries
from .batch import CommittedBatch

log = structlog.get_logger(__name__)

FLUSH_GAP = 0.02
"""Seconds between two writes of placements: at most 50 extra commits a second."""

_INSERT = """
INSERT INTO receipt_ranks (batch_id, seq, user_ids, ranks, previous_ranks, entered_by)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (batch_id) DO NOTHING"""
_SELECT = """
SELECT p.batch_id, p.seq, t.user_id, t.rank, t.previous_rank, t.entered_by
FROM receipt_ranks p,
     unnest(p.user_ids, p.ranks, p.previous_ranks, p.entered_by) AS t (user_id, rank, previous_rank, entered_by)
WHERE p.batch_id = ANY ($1::bigint[]) AND t.user_id = ANY ($2::bigint[])"""

BatchPlacements = Mapping[int, Placement]
"""user id -> the placement that one batch gave."""


class Receipts:
    """Remembers recent batches in memory (`recent_limit` of them) and all of them in the ledger."""

    def __init__(self, pool: Pool, *, recent_limit: int = 5_000, pending_limit: int = 5_000) -> None:
        self._pool = pool
        self._recent: BoundedDict[int, BatchPlacements] = BoundedDict(recent_limit)
        self._pending: dict[int, BatchPlacements] = {}
        self._pending_limit = pending_limit
        self._work = asyncio.Event()
        self._closing = False
        self._retries = Retries("receipts")

    def record(self, batch: CommittedBatch, told: BatchPlacements) -> None:
        """Take note of a batch's placements. Never blocks."""
        if not batch.new_actions:
            return
        self._recent.put(batch.batch_id, told)
        if len(self._pending) >= self._pending_limit:
            log.warning("placements dropped, the ledger does not keep up", batch=batch.batch_id)
            return
        self._pending[batch.batch_id] = told
        self._work.set()

    async def find(self, actions: Sequence[Recorded]) -> dict[int, Placement]:
        """action id -> the placement its receipt told, or UNRECORDED."""
        missing = [action for action in actions if action.batch_id not in self._recent]
        stored = await self._stored(missing) if missing else {}
        found = {}
        for action in actions:
            told = self._recent.get(action.batch_id) or {}
            held = told.get(action.user_id) or stored.get((action.batch_id, action.user_id))
            found[action.action_id] = held or UNRECORDED
        return found

    async def _stored(self, actions: Sequence[Recorded]) -> dict[tuple[int, int], Placement]:
        batches, users = {action.batch_id for action in actions}, {action.user_id for action in actions}
        async with acquire_within(self._pool) as connection:
            rows = await connection.fetch(_SELECT, list(batches), list(users))
        return {(row["batch_id"], row["user_id"]): _placement(row) for row in rows}

    async def run(self) -> None:
        """Write what is pending until `close()`."""
        while not (self._closing and not self._pending):
            await self._work.wait()
            self._work.clear()
            try:
                await self._write_on()
            except QUERY_FAILURES as failure:
                await self._put_off(failure)
            else:
                self._retries.succeeded()

    def close(self) -> None:
        self._closing = True
        self._work.set()

    async def _write_on(self) -> None:
        """On one connection while there is anything to write: giving it back after each write costs as much as one."""
        async with acquire(self._pool) as connection:
            while self._pending:
                await self._flush(connection)
                if not self._closing:
                    await asyncio.sleep(FLUSH_GAP)

    async def _put_off(self, failure: Exception) -> None:
        """What failed stays pending, except at shutdown."""
        self._retries.failed(failure)
        self._work.set()
        if self._closing:
            self._pending.clear()
        else:
            await asyncio.sleep(FLUSH_GAP + self._retries.pause)

    async def _flush(self, connection: Connection) -> None:
        taken = dict(self._pending)
        rows = [row for batch_id, told in taken.items() if (row := _row(batch_id, told)) is not None]
        with closed_at(asyncio.get_running_loop().time() + ANSWER_SECONDS, connection):
            await connection.executemany(_INSERT, rows)
        for batch_id in taken:
            del self._pending[batch_id]


def _row(batch_id: int, told: BatchPlacements) -> tuple[object, ...] | None:
    """None for a batch whose ranks were not known."""
    known = [(user_id, placement) for user_id, placement in told.items() if placement.seq is not None]
    if not known:
        return None
    ranks = [placement.rank or 0 for _, placement in known]
    previous = [placement.previous_rank or 0 for _, placement in known]
    entered = [placement.entered_by or 0 for _, placement in known]
    users = [user_id for user_id, _ in known]
    return batch_id, known[0][1].seq, users, ranks, previous, entered if any(entered) else None


def _placement(row: Mapping[str, int]) -> Placement:
    rank, previous, entered_by = (row[name] or None for name in ("rank", "previous_rank", "entered_by"))
    return Placement(rank, previous, row["seq"], "exact", entered_by)
