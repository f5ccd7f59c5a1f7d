"""Group commit: one bounded queue, a few lanes, one transaction per batch.

Batching is natural: a lane takes its share of what is queued the moment it is free, so an idle ledger
commits a single action at once and a busy one fills the next batch while the last is in flight.
Several lanes overlap Python's share of one batch with PostgreSQL's share of another; where they
touch the same user, the later one waits for the earlier. While a lane is at work another one starts only
for a batch that is worth its round trips (ADR 19).

A request belongs to the queue, not to its caller: a caller that goes away neither loses nor doubles its actions.
A caller that has waited for ANSWER_SECONDS is answered: what is under way has an unknown outcome, is decided all the
same, and the same identifier gets that answer later; what no lane has taken is not written.

A batch that PostgreSQL can't store is halved until the item is found and refused (`isolation.py`).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import chain
from uuid import UUID

import asyncpg
import structlog

from ... import telemetry
from ...concurrency.periodic import run_periodically
from ...domain.actions import Placement, Recorded, Submission
from ...domain.detectors import DetectorEngine
from ...domain.errors import Code, LaurelsError
from ...domain.judgement import Accepted, Outcome
from ..catalogue.catalogue import Catalogue
from ..db.liveness import liveness
from ..db.pool import (
    ANSWER_SECONDS,
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
from .commit_queue import Batch, CommitQueue, CommitRequest, DecidedAction, Result, Slice, not_written, outcome_unknown
from .committer import MAX_ATTEMPTS, RETRYABLE, Committer
from .isolation import UNSTORABLE, Isolation
from .receipts import Receipts

__all__ = ["DecidedAction", "Result", "Writer"]

log = structlog.get_logger(__name__)

LANE_THRESHOLD = 32
"""Actions that must wait before a further lane takes them; fewer wait for a lane that is at work …"""
PATIENCE = 0.01
"""… but not longer than that, in seconds: it may be waiting for somebody's row lock."""
RECONNECT_DELAY = 0.2
NO_ROOM_SECONDS = 5.0
"""After a batch found the disk full, the node calls itself not ready for so long; then the next batch may try."""
CONNECT_SECONDS = 1.0
CALLER_PAUSE = 0.1
"""Between two looks whether somebody has waited for ANSWER_SECONDS."""

Confirm = Callable[[Sequence[Recorded]], Awaitable[float]]
"""Makes the index hold the batches of replayed actions; answers the seconds to wait before they are acknowledged."""
Project = Callable[[CommittedBatch], Awaitable[Mapping[int, Placement]]]
"""Applies a committed batch to the index; answers user id -> placement in the default board."""


class Writer:
    """Start with `run()` in a task; stop with `close()`, which drains the queue.

    Without `lanes` it holds no connection and refuses everything. `queue_limit` and `batch_limit` count actions.
    `deadline` bounds one batch, in seconds. `cost` is where the estimate begins. `confirm` runs before replays are
    acknowledged; `in_doubt` takes the id of a batch that may be written and was not projected.
    """

    def __init__(
        self,
        pool: Pool,
        catalogue: Catalogue,
        receipts: Receipts,
        project: Project,
        node: UUID,
        *,
        lanes: int = 3,
        queue_limit: int = 10_000,
        batch_limit: int = 1_000,
        deadline: float = 10.0,
        watch: DetectorEngine | None = None,
        cost: CommitCost | None = None,
        confirm: Confirm | None = None,
        in_doubt: Callable[[int], None] = lambda batch_id: None,
    ) -> None:
        self._pool = pool
        self._receipts = receipts
        self._project = project
        self._confirm = confirm
        self._in_doubt = in_doubt
        self._lanes = lanes
        self._queue_limit = queue_limit
        self._batch_limit = batch_limit
        self.watch = watch or DetectorEngine()
        self._committer = Committer(catalogue, node, self.watch, deadline, cost or CommitCost())
        self._queue = CommitQueue()
        self._under_way: list[Batch] = []
        self._decided: dict[Slice, None] = {}
        """Slices that are written, and whose callers are answered later."""
        self._isolation = Isolation(self._queue)
        self._committed_at = 0.0
        self._patience: asyncio.TimerHandle | None = None
        self._idle: deque[asyncio.Future[None]] = deque()
        self.decided = 0
        """Actions decided since the start."""
        self._closing = False
        self._loop = asyncio.get_running_loop()
        """Asking for it is a system call before Python 3.12: once, not for every action."""
        self.no_room_until = 0.0
        """Monotonic time until which a full disk is to be expected."""
        self._closed = asyncio.Event()

    @property
    def queued(self) -> int:
        """Actions waiting for a lane."""
        return self._queue.queued

    async def submit(self, submissions: Sequence[Submission]) -> list[Result]:
        """Queue the submissions as one unit and wait for their results, in order.

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
        return await request.done  # a caller that is cancelled cancels it: then nobody is told, that is all

    async def run(self) -> None:
        """Run the lanes until `close()`; returns when the queue is drained."""
        async with asyncio.TaskGroup() as tasks:
            patience = tasks.create_task(run_periodically(CALLER_PAUSE, self._answer_late), name="ledger-patience")
            async with asyncio.TaskGroup() as lanes:
                for number in range(self._lanes):
                    lanes.create_task(self._lane(), name=f"ledger-lane-{number}")
            await self._closed.wait()
            patience.cancel()

    def close(self) -> None:
        """Take no more; let the lanes finish what is queued."""
        self._closing = True
        self._closed.set()
        while self._idle:
            self._wake_one()

    def _wake_one_if_worth_it(self) -> None:
        if not self._under_way or self._queue.queued >= LANE_THRESHOLD:
            self._wake_one()
        elif self._patience is None:
            self._patience = self._loop.call_later(PATIENCE, self._wake_impatiently)

    def _wake_impatiently(self) -> None:
        self._patience = None
        if self._queue:
            self._wake_one()

    def _wake_one(self) -> None:
        while self._idle:
            sleeper = self._idle.popleft()
            if not sleeper.done():
                sleeper.set_result(None)
                return

    async def _answer_late(self) -> None:
        """Answer callers that have waited long enough; one look serves all, so that waiting costs nobody a timer."""
        since = time.perf_counter() - ANSWER_SECONDS + CALLER_PAUSE
        under_way: dict[CommitRequest, list[Slice]] | None = None
        for request in self._queue.late(since):
            if under_way is None:
                under_way = self._slices_under_way()
            request.give_up(under_way.get(request, ()), self._too_late(request))

    def _slices_under_way(self) -> dict[CommitRequest, list[Slice]]:
        """Return what has been begun and not answered, by request."""
        found: dict[CommitRequest, list[Slice]] = {}
        for part in chain(self._decided, *self._under_way):
            found.setdefault(part.request, []).append(part)
        return found

    def _too_late(self, request: CommitRequest) -> LaurelsError:
        """Return the refusal of what no lane has taken: a ledger that commits is slow, one that does not is away."""
        return not_written() if self._committed_at >= request.enqueued_at else unavailable()

    async def _lane(self) -> None:
        while (connection := await self._connect()) is not None:
            try:
                if await self._serve(connection):
                    return
            finally:
                await release(self._pool, connection)

    async def _serve(self, connection: Connection) -> bool:
        """Commit batches until the queue closes (True) or the connection breaks (False)."""
        while not is_closed(connection):
            if batch := self._isolation.take(time.perf_counter()):
                await self._work(connection, batch)
                self._isolation.ended()
            elif batch := self._cut():
                await self._work(connection, batch)
                self._queue.put_back(batch)
            elif self._closing and (self._isolation.is_under_way or not self._queue):
                return True  # another lane ends what is set apart
            else:
                await self._sleep()
        return self._closing and not self._queue

    async def _work(self, connection: Connection, batch: Batch) -> None:
        self._under_way.append(batch)
        try:
            await self._process(connection, batch)
        finally:
            self._under_way.remove(batch)
            if self._queue and is_closed(connection):  # this lane reconnects: what waits for it must not
                self._wake_one()

    async def _sleep(self) -> None:
        sleeper: asyncio.Future[None] = self._loop.create_future()
        self._idle.append(sleeper)
        await sleeper

    def _cut(self) -> Batch:
        """Leave the other lanes their share: PostgreSQL writes one batch while the next is judged (ADR 20)."""
        queue = self._queue
        if queue.is_empty:
            return []
        share = min(self._batch_limit, max(LANE_THRESHOLD, -(-queue.queued // self._lanes)))
        batch = queue.cut(share, self._committer.rows(), time.perf_counter())
        self._isolation.queue_served()
        if not queue.is_empty:
            self._wake_one_if_worth_it()
        return batch

    async def _connect(self) -> Connection | None:
        """A connection of this lane's own; while there is none, queued callers are refused.

        None: the queue is closed, and the ledger away.
        """
        while True:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    return await self._planned()
            except (TimeoutError, *UNAVAILABLE) as error:
                log.warning("ledger unreachable, lane reconnects", reason=str(error) or repr(error))
            self._refuse_all(unavailable())
            if self._closing:
                return None
            await asyncio.sleep(RECONNECT_DELAY)

    async def _planned(self) -> Connection:
        connection = await self._pool.acquire()
        try:
            await plan_by_index(connection)
        except BaseException:
            drop(connection)
            raise
        return connection

    def _refuse_all(self, refusal: LaurelsError) -> None:
        for part in self._queue.drain():
            part.request.fill(part.start, [refusal] * len(part))

    async def _process(self, connection: Connection, batch: Batch) -> None:
        submissions = [item for part in batch for item in part.submissions()]
        started = time.perf_counter()
        try:
            committed = await self._committer.commit(connection, submissions)
            liveness(self._pool).heard()
        except TransactionResolutionUnknown as error:
            drop(connection)
            if error.batch_id is not None:
                self._in_doubt(error.batch_id)
            log.warning("outcome of a batch unknown", reason=str(error), actions=len(submissions))
            refusal = outcome_unknown()
        except UNAVAILABLE as error:
            drop(connection)
            if isinstance(error, asyncpg.DiskFullError):
                self.no_room_until = time.monotonic() + NO_ROOM_SECONDS
            log.warning("batch not written", reason=str(error) or repr(error), actions=len(submissions))
            refusal = unavailable()
        except (*RETRYABLE, StaleUser, WindowRolledOver) as error:
            log.error("batch gave up", reason=str(error), attempts=MAX_ATTEMPTS)
            refusal = unavailable()
        except (asyncpg.PostgresError, *UNSTORABLE) as error:
            now = time.perf_counter()
            if (unstored := self._isolation.split(batch, error, now, self._committed_at)) is not None:
                self._settle(batch, [unstored] * len(submissions))
            return
        else:
            self._committed_at = time.perf_counter()
            self._isolation.committed()
            self._observe(batch, len(submissions), started)
            self._settle(batch, *await self._answers(committed))
            return
        self._observe(batch, len(submissions), started)
        self._settle(batch, [refusal] * len(submissions))

    async def _answers(self, batch: CommittedBatch) -> tuple[list[Result], float]:
        """The results, and the seconds to wait before those of replays are told."""
        placements = await self._project(batch)
        self._receipts.record(batch, placements)
        replayed = [o.action for o in batch.outcomes if isinstance(o, Accepted) and o.replayed]
        told: Mapping[int, Placement] | LaurelsError = {}
        wait = 0.0
        try:
            if replayed:
                wait = await self._confirm(replayed) if self._confirm else 0.0
                told = await self._receipts.find(replayed)
        except LaurelsError as away:  # the new actions of the batch stay acknowledged
            told = away
        return [_result(outcome, placements, told) for outcome in batch.outcomes], wait

    def _settle(self, batch: Batch, results: list[Result], replays_after: float = 0.0) -> None:
        """Answer the requests of a batch; those with a replay after so many seconds."""
        start = 0
        for part in batch:
            end = start + len(part)
            mine = results if len(batch) == 1 else results[start:end]
            if replays_after and any(isinstance(result, DecidedAction) and result.accepted.replayed for result in mine):
                self._decided[part] = None
                self._loop.call_later(replays_after, self._answer_decided, part, mine)
            else:
                part.request.fill(part.start, mine)
            start = end

    def _answer_decided(self, part: Slice, results: list[Result]) -> None:
        del self._decided[part]
        part.request.fill(part.start, results)

    def _observe(self, batch: Batch, actions: int, started: float) -> None:
        self.decided += actions
        telemetry.BATCH_ACTIONS.observe(actions)
        telemetry.BATCH_SECONDS.observe(time.perf_counter() - started)
        telemetry.QUEUE_SECONDS.observe(started - batch[0].request.enqueued_at)
        telemetry.QUEUE_DEPTH.set(self._queue.queued)


def _result(
    outcome: Outcome,
    placements: Mapping[int, Placement],
    told: Mapping[int, Placement] | LaurelsError,
) -> Result:
    if isinstance(outcome, LaurelsError):
        return outcome
    action = outcome.action
    if not outcome.replayed:
        return DecidedAction(outcome, placements[action.user_id])
    return told if isinstance(told, LaurelsError) else DecidedAction(outcome, told[action.action_id])
