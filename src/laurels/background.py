"""Background work of a node: follow the journal, take snapshots, sample for drift, delete what has expired.

Each chore repeats in a task of its own. A failed query is retried after a pause that grows; each kind of failure is
counted, and logged once. Any other error ends the node: a chore that silently stopped would be worse.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import structlog

from . import telemetry
from .app.login_audit import FLUSH_SECONDS
from .concurrency.periodic import run_periodically
from .config import Settings
from .domain.errors import Code, LaurelsError
from .ledger.accounts import nonces
from .ledger.db.pool import QUERY_FAILURES
from .ledger.db.retries import Retries
from .ledger.events import propagation
from .ledger.events.journal import JournalEntry
from .ledger.standings import snapshots
from .ledger.standings.board_filler import fill_new_boards
from .ledger.write import baselines
from .node import Node
from .node_parts import CATALOGUE_SECONDS
from .ranking.failover_check import FailoverCheck
from .ranking.redis_index.projection import RECONCILE_SECONDS, RedisProjection
from .ranking.verify import sample
from .redis_store import RedisUnavailable

log = structlog.get_logger(__name__)

JOURNAL_SECONDS = 0.5
JOURNAL_GAP = 0.02
"""Least time in seconds between two reads of the journal, however often it is woken."""
HOUSEKEEPING_SECONDS = 600.0
THROUGHPUT_SECONDS = 1.0
FAILOVER_CHECK_SECONDS = 1.0
BASELINES_SECONDS = 120.0
FILL_SECONDS = 1.0
FILL_AFTER = 3.0
"""Age at which a new board is filled: by then every node has read in the journal that it must fold new actions."""
SNAPSHOT_SHARE = 0.9
"""A snapshot is due when the last is older than this share of the interval: nodes don't check at the same moment."""
ONCE_FOR_ALL = ("snapshots", "board-filler")
"""Chores whose result all nodes share: nodes in the roles `api` and `live` leave them to the others."""
LOST_LEDGER = "the ledger can't be reached"
NO_ROOM = "the ledger has no room left"
_FAILURES: tuple[type[Exception], ...] = (*QUERY_FAILURES, RedisUnavailable)


class Background:
    """The chores of one node. `start` runs them in a task group."""

    def __init__(self, settings: Settings, node: Node) -> None:
        self._settings = settings
        self._node = node
        self._parts = node.parts
        self._unapplied: deque[JournalEntry] = deque()
        parts = node.parts
        self._failover_check = FailoverCheck(parts.pool, parts.catalogue, parts.index, parts.projection.rebuild)

    def start(self, tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Start the chores of this node's role and settings; return their tasks."""
        chores: list[tuple[str, float, Callable[[], Awaitable[object]]]] = [
            ("journal", JOURNAL_GAP, self._follow_journal_when_woken),
            ("throughput", THROUGHPUT_SECONDS, self._sample_throughput),
            ("login-audit", FLUSH_SECONDS, self._parts.login_audit.flush),
            ("presence", propagation.PRESENCE_SECONDS, self._report_presence),
            ("failover-check", FAILOVER_CHECK_SECONDS, self._failover_check.check),
            ("board-filler", FILL_SECONDS, self._fill_boards),
            ("catalogue", CATALOGUE_SECONDS, self._parts.catalogue.refresh),
            ("baselines", BASELINES_SECONDS, self._learn_baselines),
            ("housekeeping", HOUSEKEEPING_SECONDS, self._tidy_up),
            ("snapshots", self._settings.snapshot_seconds, self._take_snapshots),
            ("drift-sampler", self._settings.verify_seconds, self._sample_drift),
        ]
        if self._settings.role not in ("all", "worker"):
            chores = [chore for chore in chores if chore[0] not in ONCE_FOR_ALL]
        projection = self._parts.projection
        if isinstance(projection, RedisProjection):
            projection.journal_listeners.append(self._failover_check.record_seen)
            chores.append(("index-reconciler", RECONCILE_SECONDS, projection.reconcile))
            chores.append(("index-builder", RECONCILE_SECONDS, projection.build_missing))
        running = [tasks.create_task(work, name=name) for name, work in self._loops().items()]
        return running + [
            tasks.create_task(self._repeat(name, seconds, work), name=name) for name, seconds, work in chores if seconds
        ]

    def _loops(self) -> dict[str, Coroutine[Any, Any, None]]:
        """Return the parts that repeat their work by themselves."""
        node, reads = self._node, self._parts.reads
        loops = {
            "replicas": reads if reads.replicas else None,
            "bus": node.bus,
            "rate-limit-sync": node.shared_limits,
            "user-sockets": node.user_sockets,
        }
        return {name: part.run() for name, part in loops.items() if part is not None}

    async def _repeat(self, name: str, seconds: float, work: Callable[[], Awaitable[object]]) -> None:
        retries = Retries(name)

        async def try_once() -> None:
            try:
                await work()
            except _FAILURES as error:
                retries.failed(error)
            else:
                retries.succeeded()

        await run_periodically(lambda: seconds + retries.pause, try_once)

    async def _follow_journal_when_woken(self) -> None:
        """Read the journal when woken, or after JOURNAL_SECONDS."""
        await self._node.journal_wakeup.wait(JOURNAL_SECONDS - JOURNAL_GAP)
        with self._node.journal_wakeup.answered():
            await self._follow_journal()

    async def _follow_journal(self) -> None:
        """Read and apply the journal. A node that can't read it is not ready: this is its check of the database."""
        lost = self._node.readiness.lost_parts
        try:
            entries = await self._node.journal.read()
        except QUERY_FAILURES as error:
            slow = isinstance(error, LaurelsError) and error.code is not Code.DATABASE_UNAVAILABLE
            if not slow and LOST_LEDGER not in lost:
                lost.append(LOST_LEDGER)
            raise
        if LOST_LEDGER in lost:
            lost.remove(LOST_LEDGER)
        self._check_disk_space()
        # What can't be applied now is kept: the journal returns each entry once.
        self._unapplied.extend(entries)
        while self._unapplied:
            await self._apply(self._unapplied[0])
            self._unapplied.popleft()

    def _check_disk_space(self) -> None:
        """Report a ledger without room: it can still be read, so reading the journal does not show it."""
        lost = self._node.readiness.lost_parts
        full = time.monotonic() < self._parts.writer.no_room_until
        if full and NO_ROOM not in lost:
            lost.append(NO_ROOM)
        elif not full and NO_ROOM in lost:
            lost.remove(NO_ROOM)

    async def _apply(self, entry: JournalEntry) -> None:
        parts = self._parts
        parts.status.journal_lag_seconds = entry.age
        telemetry.JOURNAL_LAG.set(entry.age)
        if entry.kind == "standings":
            self._failover_check.record_seen(entry.ids)
            await parts.projection.follow(entry)
            if entry.needs_every_node:  # a correction, a ban or an import may change ended windows
                parts.archive.corrected()
            return
        if entry.kind == "barrier":
            await self._acknowledge(entry)
            return
        if entry.kind == "sessions":
            await self._end_tokens(entry.ids)
            return
        if entry.kind == "users":
            await parts.directory.changed(entry.ids)
            await self._end_tokens(entry.ids)
        elif entry.kind == "snapshot":
            await parts.scoreboards.remember_snapshot()
        else:
            await parts.catalogue.refresh()
            await parts.live_settings.refresh()
            signing_keys = await parts.accounts.signing_keys()
            parts.tokens.set_keys(signing_keys)
            parts.ticket_signer.set_keys(signing_keys)
            await parts.keyring.refresh()
        self._refresh_screens()

    async def _end_tokens(self, user_ids: list[int]) -> None:
        await self._parts.revocations.changed(user_ids)
        self._parts.hub.close_ended_sessions(user_ids)

    async def _acknowledge(self, barrier: JournalEntry) -> None:
        try:
            await propagation.acknowledge(self._parts.pool, barrier.id, self._node.journal.node)
        except LaurelsError as error:  # on a full disk, for example: the journal is followed all the same
            log.warning("barrier not acknowledged", reason=error.detail)

    async def _report_presence(self) -> None:
        await propagation.report_presence(self._parts.pool, self._node.journal.node)

    async def _sample_throughput(self) -> None:
        self._parts.throughput.sample()

    async def _fill_boards(self) -> None:
        if self._parts.catalogue.is_filling:
            parts = self._parts
            await fill_new_boards(parts.pool, parts.catalogue, self._node.journal.node, FILL_AFTER)

    async def _take_snapshots(self) -> None:
        parts = self._parts
        due = self._settings.snapshot_seconds * SNAPSHOT_SHARE
        if await snapshots.take_due(parts.pool, parts.catalogue, self._node.journal.node, due):
            await parts.scoreboards.remember_snapshot()
            self._refresh_screens()

    def _refresh_screens(self) -> None:
        for slug in self._parts.catalogue.boards:
            self._parts.hub.refresh(slug)

    async def _sample_drift(self) -> None:
        parts = self._parts
        drift = 0
        for window in await parts.catalogue.windows_at(datetime.now(UTC)):
            drift += await sample(parts.index, parts.pool, window)
        parts.status.index_drift = drift
        telemetry.INDEX_DRIFT.set(drift)
        if drift:
            log.error("index and ledger differ: run `laurels rebuild`", standings=drift)

    async def _learn_baselines(self) -> None:
        self._parts.writer.detectors.baselines = await baselines.learn_baselines(self._parts.pool)

    async def _tidy_up(self) -> None:
        await self._node.journal.trim()
        await self._parts.sessions.trim()
        self._parts.revocations.forget_expired()
        await propagation.trim(self._parts.pool)
        await self._parts.keyring.record_uses()
        await nonces.trim(self._parts.pool)
        await self._parts.projection.drop_ended(datetime.now(UTC))
