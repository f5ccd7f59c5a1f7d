"""Group commit: one bounded queue, a few lanes, one transaction per batch.

A lane takes its share of the queue the moment it is free, so an idle ledger commits a single action at once, and a
busy one fills the next batch while the last is in flight. Several lanes overlap Python's share of one batch with
PostgreSQL's share of another; a further lane starts only for a batch that is worth its round trips (ADR 19).

A request belongs to the queue, not to its caller. A caller that goes away neither loses nor doubles its actions; one
that has waited for ANSWER_SECONDS is answered, and its actions in flight are still decided.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from itertools import chain
from uuid import UUID

import asyncpg
import structlog

from ... import telemetry
from ...concurrency.periodic import run_periodically
from ...domain.actions import Placement, Recorded, Submission, present_placement
from ...domain.detectors import DetectorEngine
from ...domain.errors import Code, LaurelsError
from ...domain.judgement import Accepted, Outcome
from ..catalogue.catalogue import Catalogue
from ..db.liveness import liveness
from ..db.pool import (
    UNAVAILABLE,
    Connection,
    Pool,
    drop,
    is_closed,
    plan_by_index,
    release,
    unavailable,
)
from .batch import CommittedBatch, StaleUser, TransactionResolutionUnknown, WindowRolledOver
from .commit_cost import CommitCost
from .commit_queue import (
    CALLER_CHECK_SECONDS,
    CALLER_SECONDS,
    Batch,
    CommitQueue,
    CommitRequest,
    DecidedAction,
    Result,
    Slice,
    not_written,
    outcome_unknown,
)
from .committer import MAX_ATTEMPTS, Committer
from .poison import UNSTORABLE, Isolation

__all__ = ["DecidedAction", "Result", "Writer"]

log = structlog.get_logger(__name__)

LANE_THRESHOLD = 32
"""Waiting actions from which a further lane starts; fewer wait for a lane at work."""
WAKE_AFTER = 0.01
"""Seconds after which a lane starts for fewer: the lane at work may wait for a row lock."""
RECONNECT_DELAY = 0.2
NO_ROOM_SECONDS = 5.0
"""After a batch found the disk full, the node is not ready for so long; then the next batch may try."""
CONNECT_SECONDS = 1.0

Confirm = Callable[[Sequence[Recorded]], Awaitable[float]]
"""Makes the index hold the batches of replayed actions; returns the seconds to wait before acknowledging them."""
Project = Callable[[CommittedBatch], Awaitable[Mapping[int, Placement]]]
"""Applies a committed batch to the index; returns user id -> placement in the default board."""
FindPlacements = Callable[[Collection[int]], Awaitable[Mapping[int, Placement]]]
"""Returns user id -> the user's placement in the default board now."""

_UNKNOWN_PLACEMENT = present_placement(None, None, "rebuilding")


class Writer:
    """Start with `run()` in a task; stop with `close()`, which drains the queue.

    Without `lanes` it holds no connection and refuses everything. `queue_limit` and `batch_limit` count actions.
    `deadline` bounds one batch, in seconds. `cost` is where the estimate begins. `find_placements` answers replays,
    `confirm` runs before they are acknowledged. `in_doubt` is called with the id of a batch that may have been
    written and was not projected.
    """

    def __init__(
        self,
        pool: Pool,
        catalogue: Catalogue,
        project: Project,
        find_placements: FindPlacements,
        node: UUID,
        *,
        lanes: int = 3,
        queue_limit: int = 10_000,
        batch_limit: int = 1_000,
        deadline: float = 10.0,
        detectors: DetectorEngine | None = None,
        cost: CommitCost | None = None,
        confirm: Confirm | None = None,
        in_doubt: Callable[[int], None] = lambda batch_id: None,
    ) -> None:
        self._pool = pool
        self._project = project
        self._find_placements = find_placements
        self._confirm = confirm
        self._in_doubt = in_doubt
        self._lanes = lanes
        self._queue_limit = queue_limit
        self._batch_limit = batch_limit
        self.detectors = detectors or DetectorEngine()
        self._committer = Committer(catalogue, node, self.detectors, deadline, cost or CommitCost())
        self._queue = CommitQueue()
        self._in_flight: list[Batch] = []
        self._unacknowledged: dict[Slice, None] = {}
        """Slices with replays, whose results are known and sent later: see `Confirm`."""
        self._isolation = Isolation(self._queue)
        self._committed_at = 0.0
        self._wake_timer: asyncio.TimerHandle | None = None
        self._sleeping_lanes: deque[asyncio.Future[None]] = deque()
        self.decided = 0
        """Actions decided since the start."""
        self._closing = False
        self._loop = asyncio.get_running_loop()
        """Kept, because asking for it is a system call before Python 3.12."""
        self.no_room_until = 0.0
        """Monotonic time until which the disk is expected to be full."""
        self._closed = asyncio.Event()

    @property
    def queued(self) -> int:
        """Return how many actions wait for a lane."""
        return self._queue.queued

    async def submit(self, submissions: Sequence[Submission]) -> list[Result]:
        """Queue the submissions as one request and return their results, in order.

        All of them are decided in one transaction, or in several where one would take too long. Raises
        LaurelsError(OVERLOADED) at once when the queue is full, MISDIRECTED when there are no lanes.
        """
        if not self._lanes:
            raise LaurelsError(Code.MISDIRECTED, "This node does not write. Ask another one.")
        if self._closing or self._queue.queued + len(submissions) > self._queue_limit:
            raise LaurelsError(Code.OVERLOADED, "The ledger's queue is full. Try again shortly.", retry_after=1)
        request = CommitRequest(submissions, self._loop.create_future(), time.perf_counter())
        self._queue.put(request)
        telemetry.QUEUE_DEPTH.set(self._queue.queued)
        self._wake_one_if_worth_it()
        return await request.done  # cancelling the caller cancels the future alone: the actions are decided

    async def run(self) -> None:
        """Run the lanes until `close()`; returns when the queue is drained."""
        async with asyncio.TaskGroup() as tasks:
            answer_late = run_periodically(CALLER_CHECK_SECONDS, self._answer_late_callers)
            late = tasks.create_task(answer_late, name="ledger-late-callers")
            async with asyncio.TaskGroup() as lanes:
                for number in range(self._lanes):
                    lanes.create_task(self._run_lane(), name=f"ledger-lane-{number}")
            await self._closed.wait()
            late.cancel()

    def close(self) -> None:
        """Take no more requests; let the lanes finish the queue."""
        self._closing = True
        self._closed.set()
        while self._sleeping_lanes:
            self._wake_one()

    def _wake_one_if_worth_it(self) -> None:
        if not self._in_flight or self._queue.queued >= LANE_THRESHOLD:
            self._wake_one()
        elif self._wake_timer is None:
            self._wake_timer = self._loop.call_later(WAKE_AFTER, self._wake_after_waiting)

    def _wake_after_waiting(self) -> None:
        self._wake_timer = None
        if self._queue:
            self._wake_one()

    def _wake_one(self) -> None:
        while self._sleeping_lanes:
            sleeper = self._sleeping_lanes.popleft()
            if not sleeper.done():
                sleeper.set_result(None)
                return

    async def _answer_late_callers(self) -> None:
        in_flight: dict[CommitRequest, list[Slice]] | None = None
        for request in self._queue.late(time.perf_counter() - CALLER_SECONDS):
            if in_flight is None:
                in_flight = self._slices_in_flight()
            request.give_up(in_flight.get(request, ()), self._refusal_of_late(request))

    def _slices_in_flight(self) -> dict[CommitRequest, list[Slice]]:
        """Return the slices that are begun and not answered, by request."""
        found: dict[CommitRequest, list[Slice]] = {}
        for part in chain(self._unacknowledged, *self._in_flight):
            found.setdefault(part.request, []).append(part)
        return found

    def _refusal_of_late(self, request: CommitRequest) -> LaurelsError:
        """Return the refusal of actions that no lane has taken.

        They were too slow if the ledger has committed since they were queued; else it is unavailable.
        """
        return not_written() if self._committed_at >= request.enqueued_at else unavailable()

    async def _run_lane(self) -> None:
        """Decide batches on one connection after the other, until the queue is closed and drained."""
        while (connection := await self._connect()) is not None:
            try:
                while not is_closed(connection):
                    if batch := self._isolation.take(time.perf_counter()):
                        await self._decide(connection, batch)
                        self._isolation.ended()
                    elif batch := self._cut():
                        await self._decide(connection, batch)
                        self._queue.put_back(batch)
                    elif self._closing and (self._isolation.is_halving or not self._queue):
                        return  # another lane finishes the batches that are set apart
                    else:
                        await self._sleep()
                if self._closing and not self._queue:
                    return
            finally:
                await release(self._pool, connection)

    async def _sleep(self) -> None:
        sleeper: asyncio.Future[None] = self._loop.create_future()
        self._sleeping_lanes.append(sleeper)
        await sleeper

    def _cut(self) -> Batch:
        """Cut off this lane's share, so that PostgreSQL writes one batch while the next is judged (ADR 20)."""
        queue = self._queue
        if queue.is_empty:
            return []
        share = min(self._batch_limit, max(LANE_THRESHOLD, -(-queue.queued // self._lanes)))
        batch = queue.cut(share, self._committer.budget(), time.perf_counter())
        self._isolation.queue_served()
        if not queue.is_empty:
            self._wake_one_if_worth_it()
        return batch

    async def _connect(self) -> Connection | None:
        """Return a connection for one lane; while there is none, refuse the requests in the queue.

        Returns None when the queue is closed and the ledger is away.
        """
        while True:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    return await self._acquire()
            except (TimeoutError, *UNAVAILABLE) as error:
                log.warning("ledger unreachable, lane reconnects", reason=str(error) or repr(error))
            refusal = unavailable()
            for part in self._queue.take_all():
                part.request.fill(part.start, [refusal] * len(part))
            if self._closing:
                return None
            await asyncio.sleep(RECONNECT_DELAY)

    async def _acquire(self) -> Connection:
        connection = await self._pool.acquire()
        try:
            await plan_by_index(connection)
        except BaseException:
            drop(connection)
            raise
        return connection

    async def _decide(self, connection: Connection, batch: Batch) -> None:
        """Commit a batch and answer its requests; refuse them, or set its halves apart, when that fails."""
        submissions = [item for part in batch for item in part.submissions()]
        started = time.perf_counter()
        self._in_flight.append(batch)
        try:
            committed = await self._committer.commit(connection, submissions)
        except (TransactionResolutionUnknown, StaleUser, WindowRolledOver, *UNAVAILABLE) as error:
            self._observe(batch, len(submissions), started)
            self._answer(batch, [self._refusal(connection, error, len(submissions))] * len(submissions))
        except (asyncpg.PostgresError, *UNSTORABLE) as error:
            now = time.perf_counter()
            if (refusal := self._isolation.split(batch, error, now, self._committed_at)) is not None:
                self._answer(batch, [refusal] * len(submissions))
        else:
            liveness(self._pool).heard()
            self._committed_at = time.perf_counter()
            self._isolation.committed()
            self._observe(batch, len(submissions), started)
            self._answer(batch, *await self._results(committed))
        finally:
            self._in_flight.remove(batch)
            if self._queue and is_closed(connection):  # this lane reconnects: the queue must not wait for it
                self._wake_one()

    def _refusal(self, connection: Connection, error: Exception, actions: int) -> LaurelsError:
        """Log why a batch failed, and return the answer to its requests. Drops a connection that can't be trusted."""
        reason = str(error) or repr(error)
        if isinstance(error, TransactionResolutionUnknown):
            drop(connection)
            if error.batch_id is not None:
                self._in_doubt(error.batch_id)
            log.warning("outcome of a batch unknown", reason=reason, actions=actions)
            return outcome_unknown()
        if isinstance(error, UNAVAILABLE):
            drop(connection)
            if isinstance(error, asyncpg.DiskFullError):
                self.no_room_until = time.monotonic() + NO_ROOM_SECONDS
            log.warning("batch not written", reason=reason, actions=actions)
        else:
            log.error("batch gave up", reason=reason, attempts=MAX_ATTEMPTS)
        return unavailable()

    async def _results(self, batch: CommittedBatch) -> tuple[list[Result], float]:
        """Return the results of a committed batch, and the seconds to wait before acknowledging its replays."""
        placements = await self._project(batch)
        replayed = [
            outcome.action
            for outcome in batch.outcomes
            if isinstance(outcome, Accepted) and outcome.replayed and outcome.action.batch_id != batch.batch_id
        ]
        earlier: Mapping[int, Placement] | LaurelsError = {}
        wait = 0.0
        if replayed:
            try:
                wait = await self._confirm(replayed) if self._confirm else 0.0
                # An index that can't be confirmed to hold the action has no rank for it.
                earlier = {} if wait else await self._find_placements({action.user_id for action in replayed})
            except LaurelsError as away:  # the new actions of the batch stay acknowledged
                earlier = away
        return [_result(outcome, batch.batch_id, placements, earlier) for outcome in batch.outcomes], wait

    def _answer(self, batch: Batch, results: list[Result], wait: float = 0.0) -> None:
        """Give the requests of a batch their results; those with a replay after `wait` seconds."""
        start = 0
        for part in batch:
            end = start + len(part)
            own = results if len(batch) == 1 else results[start:end]
            if wait and any(isinstance(result, DecidedAction) and result.accepted.replayed for result in own):
                self._unacknowledged[part] = None
                self._loop.call_later(wait, self._acknowledge, part, own)
            else:
                part.request.fill(part.start, own)
            start = end

    def _acknowledge(self, part: Slice, results: list[Result]) -> None:
        del self._unacknowledged[part]
        part.request.fill(part.start, results)

    def _observe(self, batch: Batch, actions: int, started: float) -> None:
        self.decided += actions
        telemetry.BATCH_ACTIONS.observe(actions)
        telemetry.BATCH_SECONDS.observe(time.perf_counter() - started)
        telemetry.QUEUE_SECONDS.observe(started - batch[0].request.enqueued_at)
        telemetry.QUEUE_DEPTH.set(self._queue.queued)


def _result(
    outcome: Outcome,
    batch_id: int,
    placements: Mapping[int, Placement],
    earlier: Mapping[int, Placement] | LaurelsError,
) -> Result:
    """Return one result. `earlier`: placements of users whose action an earlier batch wrote, or why there are none."""
    if isinstance(outcome, LaurelsError):
        return outcome
    action = outcome.action
    if action.batch_id == batch_id:  # new, or a replay of an action of this very batch
        return DecidedAction(outcome, placements[action.user_id])
    if isinstance(earlier, LaurelsError):
        return earlier
    return DecidedAction(outcome, earlier.get(action.user_id, _UNKNOWN_PLACEMENT))
