"""Isolate an action that PostgreSQL can't store: halve its batch until it is alone, and refuse it to its sender.

One lane halves at a time, and between two halves it takes a batch from the queue, so a client that sends such actions
slows others down by a share of one lane at most. Batches of several requests are halved first, which frees the other
requests after a few steps. Halving stops when the callers are answered.
"""

from __future__ import annotations

import asyncpg
import structlog

from ...domain.errors import Code, LaurelsError
from ..db.liveness import unavailable
from .commit_queue import Batch, CommitQueue, Slice, halves

log = structlog.get_logger(__name__)

UNSTORABLE = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    asyncpg.CardinalityViolationError,
    ValueError,
    ArithmeticError,
    RecursionError,
)
"""Errors that an action's content can cause: SQLSTATE classes 22, 23, 54 and 21, and those of judging it."""
MAX_UNEXPECTED = 24
"""Consecutive batches that fail with any other SQLSTATE before the database is blamed, and none is halved."""
_PASSING = ("08", "25", "40", "53", "55", "57", "58", "XX")
"""SQLSTATE classes that describe the state of the database and not the content of a statement."""


class Isolation:
    """Decides which of the batches that a queue has set apart a lane takes next."""

    def __init__(self, queue: CommitQueue) -> None:
        self._queue = queue
        self._may_take = True
        self._unexpected = 0
        self.is_halving = False

    def take(self, now: float) -> Batch:
        """Take the next half; an empty batch when there is none, or when it is the queue's turn.

        Call `ended` after it.
        """
        if self.is_halving or not (self._may_take or self._queue.is_empty):
            return []
        batch = self._queue.cut_apart(now)
        if batch:
            self.is_halving, self._may_take = True, False
        return batch

    def ended(self) -> None:
        self.is_halving = False

    def queue_served(self) -> None:
        """Note that a lane took a batch from the queue: the next half may follow."""
        self._may_take = True

    def committed(self) -> None:
        """Note that a batch was written."""
        self._unexpected = 0

    def split(self, batch: Batch, error: Exception, now: float, committed_at: float) -> LaurelsError | None:
        """Set the halves of a failed batch apart, or return its refusal when it is not halved further.

        `committed_at`: when a batch was last committed. The user of a refused action is suspected from `now` on.
        """
        self._unexpected += not isinstance(error, UNSTORABLE)
        single = len(batch) == 1 and len(batch[0]) == 1
        if not single and self._unexpected <= MAX_UNEXPECTED:
            for half in halves(batch):
                self._queue.set_apart(half, blamed=len(batch) == 1)
            return None
        actions, sqlstate = sum(map(len, batch)), getattr(error, "sqlstate", None)
        blamed = single and _is_to_blame(batch[0], error, committed_at)
        log.error("the ledger refused a batch", reason=str(error), sqlstate=sqlstate, actions=actions, blamed=blamed)
        if not blamed:
            return unavailable()
        self._queue.suspect(batch[0].submissions()[0].user_id, now)
        return LaurelsError(Code.ACTION_UNWRITABLE, "The ledger can't store this action as it was sent.")


def _is_to_blame(part: Slice, error: Exception, committed_at: float) -> bool:
    """Return whether a single action can't be stored because of its content.

    After an unforeseen SQLSTATE it is to blame if the database has committed others since it was queued.
    """
    if isinstance(error, UNSTORABLE):
        return True
    sqlstate = getattr(error, "sqlstate", None) or "XX"
    return committed_at >= part.request.enqueued_at and not sqlstate.startswith(_PASSING)
