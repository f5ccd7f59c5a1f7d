"""Commit one batch: apart from other batches of its users, within a deadline, and again after a conflict."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from uuid import UUID

import asyncpg
import structlog

from ...domain.actions import Submission
from ...domain.detectors import DetectorEngine
from ..catalogue.catalogue import Catalogue
from ..db.pool import BROKEN, Connection, closed_at, map_closed_connection
from .batch import CommittedBatch, StaleUser, TransactionResolutionUnknown, WindowRolledOver, commit_batch
from .commit_cost import CommitCost
from .commit_queue import RowBudget
from .user_locks import UserLocks

log = structlog.get_logger(__name__)

MAX_ATTEMPTS = 4
PESSIMISTIC_BATCHES = 8
"""After a batch met a user whom another node wrote, so many batches lock their users first: judging them first would
often be in vain."""
CONFLICTS = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.LockNotAvailableError)


class Committer:
    """Serves all lanes of one writer. `deadline` bounds one batch, in seconds."""

    def __init__(
        self, catalogue: Catalogue, node: UUID, detectors: DetectorEngine, deadline: float, cost: CommitCost
    ) -> None:
        self._catalogue = catalogue
        self._node = node
        self._detectors = detectors
        self._deadline = deadline
        self._locks = UserLocks()
        self._cost = cost
        self._pessimistic_left = 0

    def budget(self) -> RowBudget:
        """Return a new budget for the rows of the next batch."""
        return RowBudget(len(self._catalogue.counting), self._cost.seconds_per_row, self._cost.slowest)

    async def commit(self, connection: Connection, submissions: Sequence[Submission]) -> CommittedBatch:
        """Commit one batch, in up to MAX_ATTEMPTS attempts.

        Raises TransactionResolutionUnknown; StaleUser, WindowRolledOver or one of CONFLICTS after the last attempt,
        with nothing written; or another error of asyncpg.
        """
        users = {item.user_id for item in submissions}
        async with self._locks.hold(users):
            with self._within_deadline(connection, len(submissions) + len(users) * len(self._catalogue.counting)):
                pessimistic = self._take_pessimistic_turn()
                for attempt in range(MAX_ATTEMPTS):
                    try:
                        return await commit_batch(
                            connection,
                            self._catalogue,
                            self._node,
                            submissions,
                            self._detectors,
                            pessimistic=pessimistic,
                        )
                    # A unique violation: an import has just written the same identifier.
                    except (*CONFLICTS, StaleUser, asyncpg.UniqueViolationError) as error:
                        if isinstance(error, StaleUser):
                            self._pessimistic_left = PESSIMISTIC_BATCHES
                        if attempt == MAX_ATTEMPTS - 1:
                            raise
                        pessimistic = True
                    except WindowRolledOver as rolled:
                        await self._catalogue.windows_at(rolled.now)
                        if attempt == MAX_ATTEMPTS - 1:
                            raise
        raise AssertionError("unreachable")

    def _take_pessimistic_turn(self) -> bool:
        if not self._pessimistic_left:
            return False
        self._pessimistic_left -= 1
        return True

    @contextlib.contextmanager
    def _within_deadline(self, connection: Connection, rows: int) -> Iterator[None]:
        """Close the connection when the body takes longer than the deadline; note what a row has cost.

        The connection is closed rather than its work cancelled, because a cancelled commit may have happened. Raises
        TransactionResolutionUnknown then.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        with closed_at(started + self._deadline, connection) as cut:
            try:
                with map_closed_connection(connection):
                    yield
            except BROKEN as error:
                if not cut.was_closed:
                    raise
                log.warning("batch deadline passed, connection closed", seconds=self._deadline)
                raise TransactionResolutionUnknown("deadline") from error
            finally:
                now = loop.time()
                self._cost.observe(rows, now - started, now)
