"""One batch brought through: as often as it takes, within its deadline, after those that it shares a user with."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

import asyncpg
import structlog

from ...domain.actions import Submission
from ...domain.detectors import DetectorEngine
from ..catalogue.catalogue import Catalogue
from ..db.pool import BROKEN, Connection, closed_at, map_closed_connection
from .batch import CommittedBatch, StaleUser, TransactionResolutionUnknown, WindowRolledOver, commit_batch
from .commit_cost import CommitCost
from .commit_queue import RowCounts
from .user_locks import UserLocks

log = structlog.get_logger(__name__)

MAX_ATTEMPTS = 4
PESSIMISTIC_BATCHES = 8
"""Batches that lock their users first, after one that met another node's: where many do, judging first is waste."""
RETRYABLE = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.LockNotAvailableError)


class Committer:
    """Serves all lanes of one writer. `deadline` bounds one batch, in seconds."""

    def __init__(
        self, catalogue: Catalogue, node: UUID, watch: DetectorEngine, deadline: float, cost: CommitCost
    ) -> None:
        self._catalogue = catalogue
        self._node = node
        self._watch = watch
        self._deadline = deadline
        self._turns = UserLocks()
        self._cost = cost
        self._pessimistic_left = 0

    def rows(self) -> RowCounts:
        """Return how many rows the next batch may write."""
        return RowCounts(len(self._catalogue.counting), self._cost.seconds_per_row)

    async def commit(self, connection: Connection, submissions: Sequence[Submission]) -> CommittedBatch:
        """Raises CommitUnknown, UserMoved or WindowMoved (it gave up, nothing is written), or what asyncpg raises.

        At the deadline the connection is closed, not its work cancelled: a cancelled commit may have happened.
        """
        users = {item.user_id for item in submissions}
        async with self._turns.hold(users):
            loop = asyncio.get_running_loop()
            started = loop.time()
            with closed_at(started + self._deadline, connection) as cut:
                try:
                    return await self._attempt(connection, submissions)
                except BROKEN as error:
                    if not cut.was_closed:
                        raise
                    log.warning("batch deadline passed, connection closed", seconds=self._deadline)
                    raise TransactionResolutionUnknown("deadline") from error
                finally:
                    rows = len(submissions) + len(users) * len(self._catalogue.counting)
                    self._cost.observe(rows, loop.time() - started)

    async def _attempt(self, connection: Connection, submissions: Sequence[Submission]) -> CommittedBatch:
        pessimistic = self._pessimistic_left > 0
        if pessimistic:
            self._pessimistic_left -= 1
        for left in reversed(range(MAX_ATTEMPTS)):
            try:
                with map_closed_connection(connection):
                    return await commit_batch(
                        connection, self._catalogue, self._node, submissions, self._watch, pessimistic=pessimistic
                    )
            except (*RETRYABLE, StaleUser, asyncpg.UniqueViolationError) as error:
                if not left:
                    raise
                if isinstance(error, StaleUser):
                    self._pessimistic_left = PESSIMISTIC_BATCHES
                pessimistic = True  # also behind an import, which wrote the same identifier a moment ago
            except WindowRolledOver as moved:
                await self._catalogue.windows_at(moved.now)
                if not left:
                    raise
        raise AssertionError("unreachable")
