"""Group commit: one bounded queue, a few lanes, one transaction per batch.

Batching is natural: a lane takes its share of what is queued the moment it is free, so an idle ledger
commits a single action at once and a busy one fills the next batch while the last is in flight.
Several lanes overlap Python's share of one batch with PostgreSQL's share of another; where they
touch the same user, the later one waits for the earlier. While a lane is at work another one starts only
for a batch that is worth its round trips (ADR 30).

An entry belongs to the queue, not to its caller: a caller that goes away neither loses nor
doubles its actions. A caller that has waited for ANSWER_SECONDS is told that the outcome is not known; the entry
is decided all the same, and the same identifier gets that answer later.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg
import msgspec
import structlog

from .. import telemetry
from ..domain.actions import Placement, Submission
from ..domain.detectors import Watch
from ..domain.errors import Code, LaurelsError
from ..domain.judgement import Accepted, Outcome
from .batch import CommittedBatch, CommitUnknown, UserMoved, WindowMoved
from .catalogue import Catalogue
from .committer import MAX_ATTEMPTS, RETRYABLE, Committer
from .pool import (
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
from .receipts import Receipts

log = structlog.get_logger(__name__)

WORTH_A_LANE = 32
"""Actions that must wait before a further lane takes them; fewer wait for a lane that is at work …"""
PATIENCE = 0.01
"""… but not longer than that, in seconds: it may be waiting for somebody's row lock."""
RECONNECT_DELAY = 0.2
NO_ROOM_SECONDS = 5.0
"""After a batch found the disk full, the node calls itself not ready for so long; then the next batch may try."""
CONNECT_SECONDS = 1.0
CALLER_PAUSE = 0.1
"""Between two looks whether somebody has waited for ANSWER_SECONDS."""

Project = Callable[[CommittedBatch], Awaitable[Mapping[int, Placement]]]
"""Applies a committed batch to the index; answers user id -> placement in the default board."""


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What the ledger says to one submission: an accepted action with its placement."""

    accepted: Accepted
    placement: Placement


Result = Answer | LaurelsError


@dataclass(slots=True)
class _Entry:
    submissions: Sequence[Submission]
    done: asyncio.Future[list[Result]]
    enqueued_at: float = field(default_factory=time.perf_counter)


class Writer:
    """Start with `run()` in a task; stop with `close()`, which drains the queue.

    Without `lanes` it holds no connection and refuses everything. `queue_limit` and `batch_limit` count actions.
    `deadline` bounds one batch, in seconds.
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
        watch: Watch | None = None,
    ) -> None:
        self._pool = pool
        self._receipts = receipts
        self._project = project
        self._lanes = lanes
        self._queue_limit = queue_limit
        self._batch_limit = batch_limit
        self.watch = watch or Watch()
        self._committer = Committer(catalogue, node, self.watch, deadline)
        self._queue: deque[_Entry] = deque()
        self._at_work = 0
        self._patience: asyncio.TimerHandle | None = None
        self._queued = 0
        self._waiting: deque[_Entry] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._closing = False
        self._loop = asyncio.get_running_loop()
        """Asking for it is a system call before Python 3.12: once, not for every action."""
        self.no_room_until = 0.0
        """Monotonic time until which a full disk is to be expected."""
        self._closed = asyncio.Event()

    @property
    def queued(self) -> int:
        """Actions waiting for a lane."""
        return self._queued

    async def submit(self, submissions: Sequence[Submission]) -> list[Result]:
        """Queue the submissions as one unit and wait for their results, in order.

        All of them are decided in one transaction. Raises LaurelsError(OVERLOADED) at once when the
        queue is full, MISDIRECTED when there are no lanes.
        """
        if not self._lanes:
            raise LaurelsError(Code.MISDIRECTED, "This node does not write. Ask another one.")
        if self._closing or self._queued + len(submissions) > self._queue_limit:
            raise LaurelsError(Code.OVERLOADED, "The ledger's queue is full. Try again shortly.", retry_after=1)
        entry = _Entry(submissions, self._loop.create_future())
        self._queue.append(entry)
        self._waiting.append(entry)
        self._queued += len(submissions)
        telemetry.QUEUE_DEPTH.set(self._queued)
        self._wake_one_if_worth_it()
        return await entry.done  # a caller that is cancelled cancels it: then nobody is told, that is all

    async def run(self) -> None:
        """Run the lanes until `close()`; returns when the queue is drained."""
        async with asyncio.TaskGroup() as tasks:
            patience = tasks.create_task(self._answer_in_time(), name="ledger-patience")
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
        if not self._at_work or self._queued >= WORTH_A_LANE:
            self._wake_one()
        elif self._patience is None:
            self._patience = self._loop.call_later(PATIENCE, self._lose_patience)

    def _lose_patience(self) -> None:
        self._patience = None
        if self._queue:
            self._wake_one()

    def _wake_one(self) -> None:
        while self._idle:
            sleeper = self._idle.popleft()
            if not sleeper.done():
                sleeper.set_result(None)
                return

    async def _answer_in_time(self) -> None:
        """Tell who has waited for long enough; one look serves all, so that waiting costs nobody a timer."""
        while True:
            await asyncio.sleep(CALLER_PAUSE)
            late = time.perf_counter() - ANSWER_SECONDS + CALLER_PAUSE
            while self._waiting and (self._waiting[0].done.done() or self._waiting[0].enqueued_at <= late):
                entry = self._waiting.popleft()
                if not entry.done.done():
                    _settle(entry, [_unknown()] * len(entry.submissions))

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
            entries = self._take()
            if entries:
                await self._work(connection, entries)
            elif self._closing:
                return True
            else:
                await self._sleep()
        return self._closing and not self._queue

    async def _work(self, connection: Connection, entries: list[_Entry]) -> None:
        self._at_work += 1
        try:
            await self._process(connection, entries)
        finally:
            self._at_work -= 1
            if self._queue and is_closed(connection):  # this lane reconnects: what waits for it must not
                self._wake_one()

    async def _sleep(self) -> None:
        sleeper: asyncio.Future[None] = self._loop.create_future()
        self._idle.append(sleeper)
        await sleeper

    def _take(self) -> list[_Entry]:
        """Leaves the other lanes their share: PostgreSQL writes one batch while the next is judged (ADR 31)."""
        share = min(self._batch_limit, max(WORTH_A_LANE, -(-self._queued // self._lanes)))
        entries: list[_Entry] = []
        taken = 0
        while self._queue and (not entries or taken + len(self._queue[0].submissions) <= share):
            entry = self._queue.popleft()
            taken += len(entry.submissions)
            entries.append(entry)
        self._queued -= taken
        if self._queue:
            self._wake_one_if_worth_it()
        return entries

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
        while entries := self._take():
            for entry in entries:
                _settle(entry, [refusal] * len(entry.submissions))

    async def _process(self, connection: Connection, entries: list[_Entry]) -> None:
        """Commit the entries; if one of them poisons the transaction, find it by halving."""
        try:
            await self._commit(connection, entries)
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
            if len(entries) == 1:
                log.error("unwritable action refused", reason=str(error))
                _settle(entries[0], [_unwritable()] * len(entries[0].submissions))
                return
            middle = len(entries) // 2
            await self._process(connection, entries[:middle])
            await self._process(connection, entries[middle:])

    async def _commit(self, connection: Connection, entries: list[_Entry]) -> None:
        submissions = [item for entry in entries for item in entry.submissions]
        started = time.perf_counter()
        try:
            batch = await self._committer.commit(connection, submissions)
            results = await self._answers(batch)
        except CommitUnknown as error:
            drop(connection)
            log.warning("outcome of a batch unknown", reason=str(error), actions=len(submissions))
            results = [_unknown()] * len(submissions)
        except UNAVAILABLE as error:
            drop(connection)
            if isinstance(error, asyncpg.DiskFullError):
                self.no_room_until = time.monotonic() + NO_ROOM_SECONDS
            log.warning("batch not written", reason=str(error) or repr(error), actions=len(submissions))
            results = [unavailable()] * len(submissions)
        except (*RETRYABLE, UserMoved, WindowMoved) as error:
            log.error("batch gave up", reason=str(error), attempts=MAX_ATTEMPTS)
            results = [unavailable()] * len(submissions)
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError):
            raise
        except asyncpg.PostgresError as error:
            log.error("the ledger refused a batch", reason=str(error), sqlstate=error.sqlstate)
            results = [unavailable()] * len(submissions)
        self._observe(entries, submissions, started)
        _settle_all(entries, results)

    async def _answers(self, batch: CommittedBatch) -> list[Result]:
        placements = await self._project(batch)
        self._receipts.remember(batch, placements)
        replayed = [o.action for o in batch.outcomes if isinstance(o, Accepted) and o.replayed]
        told: Mapping[int, Placement] | LaurelsError = {}
        try:
            told = await self._receipts.find(replayed) if replayed else {}
        except LaurelsError as away:  # the new actions of the batch stay acknowledged
            told = away
        return [_result(outcome, placements, told) for outcome in batch.outcomes]

    def _observe(self, entries: Sequence[_Entry], submissions: Sequence[Submission], started: float) -> None:
        telemetry.BATCH_ACTIONS.observe(len(submissions))
        telemetry.BATCH_SECONDS.observe(time.perf_counter() - started)
        telemetry.QUEUE_SECONDS.observe(started - entries[0].enqueued_at)
        telemetry.QUEUE_DEPTH.set(self._queued)


def _result(
    outcome: Outcome,
    placements: Mapping[int, Placement],
    told: Mapping[int, Placement] | LaurelsError,
) -> Result:
    if isinstance(outcome, LaurelsError):
        return outcome
    action = outcome.action
    if not outcome.replayed:
        return Answer(outcome, placements[action.user_id])
    return told if isinstance(told, LaurelsError) else Answer(outcome, told[action.action_id])


def _settle_all(entries: Sequence[_Entry], results: Sequence[Result]) -> None:
    start = 0
    for entry in entries:
        end = start + len(entry.submissions)
        _settle(entry, list(results[start:end]))
        start = end


def _settle(entry: _Entry, results: list[Result]) -> None:
    if not entry.done.done():
        entry.done.set_result(results)


def _unknown() -> LaurelsError:
    return LaurelsError(
        Code.OUTCOME_UNKNOWN,
        "The ledger did not say in time whether it wrote this. Send the same action_identifier again: it counts once.",
        retry_after=1,
    )


def _unwritable() -> LaurelsError:
    return LaurelsError(Code.ACTION_UNWRITABLE, "The ledger can't store this action as it was sent.")
