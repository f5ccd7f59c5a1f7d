"""The only writer of the index in Redis.

A node pushes its own batches at once. Batches that it could not push, because it died or Redis was unavailable, are
found by every node: `reconcile` reads the journal by transaction snapshot and asks each copy which batches it lacks.
Applying a batch twice changes nothing. After an outage of Redis a node trusts a copy only once it has checked the
journal since the outage began. Copies that are missing or damaged are built by the `IndexBuilder`, beside live changes.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

import structlog

from ... import telemetry
from ...domain.actions import Placement, Recorded
from ...domain.boards import Window
from ...domain.errors import LaurelsError
from ...domain.standings import Standing
from ...ledger.catalogue.catalogue import Catalogue
from ...ledger.db.pool import Pool
from ...ledger.events.journal import Journal, JournalEntry
from ...ledger.standings import index_generations, standings
from ...ledger.write.batch import CommittedBatch
from ...redis_store import RedisUnavailable
from ..index import Shift
from ..projection_types import KEEP_ENDED, OnProgress, WindowChanged
from ..shadows import shadow_placements
from ..top_entries import attribute_entries
from .builder import IndexBuilder
from .fallback_index import LEDGER_SECONDS, FallbackIndex
from .generations import IndexGenerations
from .replays import ReplayConfirmation
from .scripts import IndexGone
from .windows import IndexGeneration, RedisWindows, WindowChanges

log = structlog.get_logger(__name__)

RECONCILE_SECONDS = 0.5
GRACE = 1.0
"""Seconds that a node has to push its own commit, before other nodes check whether it did."""
NOTE_SECONDS = 5.0
"""Seconds between two records in the ledger of how far the copies are complete."""
REBUILD_AFTER = 6 * 3_600.0
"""A copy that no node checked for so long is rebuilt: the journal, which would complete it, is kept for a day."""
USERS_PER_REPAIR = 1_000
"""Users whose standings are read and applied in one step."""
MAX_JOURNAL_READS = 1_200
"""Reads of the journal kept for a Redis that takes no changes: ten minutes. Beyond, a rebuild costs less."""
BUILD_CHECKS = 60
"""How often `rebuild` checks whether the copies are trusted, RECONCILE_SECONDS apart: half a minute."""


@dataclass(frozen=True, slots=True)
class _JournalRead:
    """The result of one read of the journal: all entries before `horizon` are in it or in an earlier read."""

    at: float
    horizon: str
    entries: Mapping[int, Sequence[int]]


@dataclass(slots=True)
class RedisProjection:
    """Writes to Redis.

    `listeners` are called for each window that this node saw change, `journal_listeners` with the users that the
    journal names.
    """

    windows: RedisWindows
    index: FallbackIndex
    generations: IndexGenerations
    catalogue: Catalogue
    pool: Pool
    listeners: list[Callable[[WindowChanged], None]] = field(default_factory=list)
    journal_listeners: list[Callable[[Collection[int]], None]] = field(default_factory=list)
    members: dict[str, int] = field(default_factory=dict)
    """Standings in the index as last heard, by board."""
    _journal: Journal = field(init=False)
    _journal_reads: deque[_JournalRead] = field(default_factory=deque)
    _redis_answers: bool = False
    _noted_at: float = 0.0
    _builder: IndexBuilder = field(init=False)
    _replays: ReplayConfirmation = field(init=False)

    def __post_init__(self) -> None:
        self._journal = Journal(self.pool, uuid4())  # reads what this node committed too
        self._builder = IndexBuilder(
            self.windows, self.generations, self.pool, self._push_unmarked, lambda window: self._notify(window, None)
        )
        self._replays = ReplayConfirmation(
            self.windows, self.generations, self.catalogue, self.pool, self._writable, self._repair
        )

    async def project(self, batch: CommittedBatch) -> Mapping[int, Placement]:
        """Push a batch of this process; return each user's placement on the default board."""
        users = {action.user_id for action in batch.new_actions}
        shifts = await self._push(batch, users)
        if not users:
            return {}
        default = next((w for w in self._windows_of(batch) if w.board.is_default), None)
        shift = shifts.get(default.id) if default is not None else None
        if default is None or shift is None or self.generations.readable(default) is None:
            return await self._counted(default, batch, users)
        placed = {user: shift.placement(user) for user in users}
        placed |= await self._shadowed(default, batch)
        return await attribute_entries(self.index, default, batch, placed)

    async def confirm(self, actions: Sequence[Recorded]) -> float:
        """Make the index hold the batches of replayed actions; return the seconds to wait before acknowledging them.

        While Redis is unavailable to this node, the other nodes apply them: they get the time to read the journal.
        Raises LaurelsError.
        """
        return await self._replays.confirm(actions)

    async def follow(self, entry: JournalEntry) -> None:
        """Apply a journal entry that no process pushes (a ban, a correction): every node tries, the first one does it.

        Other entries are pushed by the process that committed them. `reconcile` checks that, and pushes entries of more
        than USERS_PER_REPAIR users (an import): once for all nodes is enough.
        """
        if not entry.needs_every_node or len(entry.ids) > USERS_PER_REPAIR:
            return
        windows = await self.catalogue.windows_at(datetime.now(UTC))
        for generation in filter(None, map(self.generations.writable, windows)):
            try:
                await self._repair(generation, entry.ids, [entry.id])
            except IndexGone:
                self.generations.invalidate(generation)
            except RedisUnavailable as error:
                self.generations.mark_suspect(str(error))

    def degraded_reasons(self) -> list[str]:
        """Return why ranks are counted in the ledger, in words; nothing while they are not."""
        if not self._redis_answers:
            return ["redis: no answer, ranks are counted in the ledger"]
        windows = self.catalogue.cached_windows(datetime.now(UTC)) or ()
        waiting = [window.board.slug for window in windows if self.generations.readable(window) is None]
        return [f"redis: ranks of {slug} are counted in the ledger until the index is complete" for slug in waiting]

    async def load(self, progress: OnProgress = lambda done, total: None) -> int:
        """Check the copies that other nodes maintain and build missing ones; return how many standings were loaded.

        A node starts without Redis too, and counts in the ledger.
        """
        await self._journal.start(await index_generations.oldest_check(self.pool))
        await self.reconcile()
        return await self.build_missing(progress)

    async def reconcile(self) -> None:
        """Check that the copies exist and are complete, and push what is missing. Call it every RECONCILE_SECONDS."""
        await self.generations.refresh()
        windows = await self.catalogue.windows_at(datetime.now(UTC))
        suspicions = self.generations.suspicions
        try:
            await self.windows.ping()  # the journal is read only while Redis answers
            self._journal_reads.append(await self._read_journal())
            due = [read for read in self._journal_reads if self._is_due(read)]
            batches = {batch: users for read in due for batch, users in read.entries.items()}
            for window in windows:
                await self._push_missing(window, batches)
        except RedisUnavailable as error:
            self._redis_answers = False
            self.generations.mark_suspect(str(error))
            self._invalidate_if_too_many(windows)
            return
        self._redis_answers = True
        self.generations.mark_complete(suspicions)
        await self._note_checked(windows, due)

    async def build_missing(self, progress: OnProgress = lambda done, total: None) -> int:
        """Build the copies that need it, if Redis answers and no other node builds. Call it every RECONCILE_SECONDS."""
        windows = await self.catalogue.windows_at(datetime.now(UTC))
        if not (self._redis_answers and any(map(self._builder.may_build, windows))):
            return 0
        return await self._builder.build(windows, progress, rebuild=False)

    async def rebuild(self, progress: OnProgress = lambda done, total: None) -> int:
        """Rebuild every open window, and wait until this node trusts the copies. Raises LaurelsError."""
        windows = await self.catalogue.windows_at(datetime.now(UTC))
        built = await self._builder.build(windows, progress, rebuild=True)
        for _ in range(BUILD_CHECKS):  # another node may be building
            await self.reconcile()
            if all(self.generations.readable(window) for window in windows):
                break
            await asyncio.sleep(RECONCILE_SECONDS)
        return built

    async def drop_ended(self, now: datetime) -> None:
        """Delete copies of windows that ended KEEP_ENDED ago; the ledger keeps their standings."""
        for window_id, epoch in await index_generations.ended(self.pool, now - KEEP_ENDED):
            try:
                await self.windows.drop(window_id, epoch)
            except RedisUnavailable as error:
                log.info("an ended window stays in Redis for now", reason=str(error))
                return
            await index_generations.forget(self.pool, window_id, epoch)

    def _windows_of(self, batch: CommittedBatch) -> list[Window]:
        """Return the windows that a batch is applied to, also where it changed nothing: each marks the batch."""
        known = {window.id: window for window in self.catalogue.cached_windows(batch.now) or ()}
        known.update({change.window.id: change.window for change in batch.changes})
        return list(known.values())

    async def _push(self, batch: CommittedBatch, users: Collection[int]) -> dict[int, Shift]:
        """Apply a batch; return window id -> what it changed, without the windows that could not be reached."""
        rows: dict[int, dict[int, Standing]] = {}
        for change in batch.changes:
            rows.setdefault(change.window.id, {})[change.user_id] = change.standing
        windows = self._windows_of(batch)
        shifts: dict[int, Shift] = {}
        for _ in range(2):  # the second try finds a copy that was replaced meanwhile
            missing = [window for window in windows if window.id not in shifts]
            generations = await self._writable(missing)
            parts = [_part(generation, rows.get(generation.window.id, {}), users) for generation in generations]
            if not parts or not await self._apply(parts, batch.batch_id, shifts):
                break
        if len(shifts) == len(windows):
            self._replays.confirmed.add([batch.batch_id])
        for window in windows:
            self._notify(window, shifts.get(window.id))
        return shifts

    async def _writable(self, windows: Sequence[Window]) -> list[IndexGeneration]:
        if self._redis_answers and not all(map(self.generations.writable, windows)):
            try:
                await self.generations.refresh()
            except LaurelsError as error:
                log.debug("index generations not read", reason=error.detail)
        return [generation for window in windows if (generation := self.generations.writable(window)) is not None]

    async def _apply(self, parts: Sequence[WindowChanges], batch_id: int, shifts: dict[int, Shift]) -> bool:
        """Apply the parts and fill `shifts`; return False when Redis is unavailable."""
        try:
            replies = await self.windows.apply(parts, batch_id)
        except RedisUnavailable as error:
            self.generations.mark_suspect(str(error))
            return False
        for part, reply in zip(parts, replies, strict=True):
            if isinstance(reply, IndexGone):
                self.generations.invalidate(part.generation)
            else:
                shifts[part.generation.window.id] = reply
        return True

    async def _counted(
        self, default: Window | None, batch: CommittedBatch, users: Collection[int]
    ) -> dict[int, Placement]:
        """Return placements from the ledger: ranks after the batch, if counted in time, and none before."""
        ranks: dict[int, int | None] = {}
        if default is not None:
            try:
                ranking = await self.index.counted(default, users, most=LEDGER_SECONDS)
                ranks.update({place.user_id: place.rank for place in ranking.places})
            except LaurelsError as error:
                log.debug("ranks not counted", reason=error.detail)
            shadowed = await self._shadowed(default, batch)
            ranks.update({user: placement.rank for user, placement in shadowed.items()})
        return {user: Placement(ranks.get(user), None, None, "rebuilding") for user in users}

    async def _shadowed(self, default: Window, batch: CommittedBatch) -> dict[int, Placement]:
        try:
            return await shadow_placements(self.index, default, batch)
        except LaurelsError as error:
            log.debug("ranks of shadowed users not counted", reason=error.detail)
            return dict.fromkeys(batch.shadows, Placement(None, None, None, "rebuilding"))

    def _notify(self, window: Window, shift: Shift | None) -> None:
        generation = self.generations.readable(window)
        if shift is not None and generation is not None:
            self.members[window.board.slug] = shift.total
            telemetry.INDEX_MEMBERS.labels(window.board.slug).set(shift.total)
            change = WindowChanged(window, generation.epoch, shift.seq, shift.top)
        else:
            change = WindowChanged(window, "", 0, top=True)
        if shift is None or shift.news:
            for listener in self.listeners:
                listener(change)

    async def _read_journal(self) -> _JournalRead:
        entries = await self._journal.read()
        found = {entry.id: entry.ids for entry in entries if entry.kind == "standings"}
        for listener in self.journal_listeners:
            listener({user_id for user_ids in found.values() for user_id in user_ids})
        assert self._journal.horizon is not None
        return _JournalRead(time.monotonic(), self._journal.horizon, found)

    def _is_due(self, read: _JournalRead) -> bool:
        """Return whether to check a read now: at once while suspect, else after the committing node had GRACE."""
        return not self.generations.is_complete or read.at <= time.monotonic() - GRACE

    def _invalidate_if_too_many(self, windows: Sequence[Window]) -> None:
        if len(self._journal_reads) <= MAX_JOURNAL_READS:
            return
        self._journal_reads.clear()
        for window in windows:
            generation = self.generations.writable(window)
            if generation is not None:
                self.generations.invalidate(generation)

    async def _push_missing(self, window: Window, batches: Mapping[int, Sequence[int]]) -> None:
        generation, row = self.generations.writable(window), self.generations.row(window)
        if generation is None or row is None:
            return
        if row.ready and row.age > REBUILD_AFTER:
            self.generations.invalidate(generation)
            return
        try:
            await self._push_unmarked(generation, batches)
        except IndexGone:
            self.generations.invalidate(generation)

    async def _push_unmarked(self, generation: IndexGeneration, batches: Mapping[int, Sequence[int]]) -> None:
        missing = sorted(await self.windows.unmarked(generation, list(batches)))
        if missing:
            await self._repair(generation, {user for batch in missing for user in batches[batch]}, missing)
            telemetry.INDEX_REPAIRED_BATCHES.inc(len(missing))

    async def _repair(self, generation: IndexGeneration, user_ids: Collection[int], batch_ids: Sequence[int]) -> None:
        """Apply the ledger's standings of these users, then mark the batches. Raises RedisUnavailable, IndexGone."""
        users = list(user_ids)
        for start in range(0, max(1, len(users)), USERS_PER_REPAIR):
            changes = await standings.of_users(self.pool, [generation.window], users[start : start + USERS_PER_REPAIR])
            last = start + USERS_PER_REPAIR >= len(users)
            rows = {change.user_id: change.standing for change in changes}
            shift = await self.windows.upsert(generation, rows, batch_ids if last else ())
            if shift.news:
                self._notify(generation.window, None)

    async def _note_checked(self, windows: Sequence[Window], due: Sequence[_JournalRead]) -> None:
        """Drop the reads that were checked.

        Every NOTE_SECONDS record in the ledger how far the journal was checked, for nodes that start later.
        """
        for _ in due:
            self._journal_reads.popleft()
        if due and time.monotonic() >= self._noted_at + NOTE_SECONDS:
            epochs = [
                generation.epoch for window in windows if (generation := self.generations.readable(window)) is not None
            ]
            await index_generations.record_checked(self.pool, epochs, due[-1].horizon)
            self._noted_at = time.monotonic()


def _part(generation: IndexGeneration, rows: Mapping[int, Standing], users: Collection[int]) -> WindowChanges:
    """Return what one window is to apply. Receipts carry ranks of the default board only."""
    default = generation.window.board.is_default
    return WindowChanges(generation, rows, users if default else (), ranked=default)
