"""The only writer of the index that several nodes share.

A node brings its own batches to Redis at once. What it could not bring, because it died or Redis was
away, every node finds: `keep` reads the journal by transaction snapshot and asks each copy which
batches it has not been told of. Bringing one twice changes nothing. When Redis was away, nobody
trusts it again before all of the journal since then was checked so.

`build` makes copies that are missing, or are not what they were: all standings are poured into an
empty one that takes live changes from its first moment.
"""

from __future__ import annotations

import asyncio
import secrets
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
from ...ledger.db.pool import Connection, Pool
from ...ledger.events.journal import Journal, JournalEntry
from ...ledger.standings import index_generations, standings
from ...ledger.write.batch import CommittedBatch
from ...redis_store import RedisUnavailable
from ..entries import attribute_entries
from ..index import Shift
from ..projection import KEEP_ENDED, Progress, WindowChanged
from ..shadows import shadow_placements
from .bulk_load import bulk_load
from .fallback_index import LEDGER_SECONDS, FallbackIndex
from .generations import IndexGenerations
from .rebuild_backoff import RebuildBackoff
from .replays import ReplayConfirmation
from .scripts import IndexGone
from .windows import IndexGeneration, RedisWindows, WindowChanges

log = structlog.get_logger(__name__)

RECONCILE_SECONDS = 0.5
GRACE = 1.0
"""Seconds that a node has to bring its own commit before others look whether it did."""
NOTE_SECONDS = 5.0
"""Between two notes in the ledger of how far the copies are complete."""
REBUILD_AFTER = 6 * 3_600.0
"""A copy that nobody checked for so long is built anew: the journal is kept for a day."""
HELD_AT_ONCE = 1_000
MAX_JOURNAL_READS = 1_200
"""Looks at the journal kept for a Redis that answers but takes nothing: ten minutes. Then building anew costs less."""
BUILD_TRIES = 60


@dataclass(frozen=True, slots=True)
class _JournalRead:
    """What one look at the journal brought: everything before `horizon` is in this look or an earlier one."""

    at: float
    horizon: str
    entries: Mapping[int, Sequence[int]]


@dataclass(slots=True)
class RedisProjection:
    """Feeds Redis. `listeners` hear of every window that this node saw moving, `readers` whom the journal named."""

    windows: RedisWindows
    index: FallbackIndex
    generations: IndexGenerations
    catalogue: Catalogue
    pool: Pool
    listeners: list[Callable[[WindowChanged], None]] = field(default_factory=list)
    readers: list[Callable[[Collection[int]], None]] = field(default_factory=list)
    members: dict[str, int] = field(default_factory=dict)
    """Standings in the index as last heard, by board."""
    _journal: Journal = field(init=False)
    _journal_reads: deque[_JournalRead] = field(default_factory=deque)
    _redis_answers: bool = False
    _noted_at: float = 0.0
    _backoff: RebuildBackoff = field(default_factory=RebuildBackoff)
    _replays: ReplayConfirmation = field(init=False)

    def __post_init__(self) -> None:
        self._journal = Journal(self.pool, uuid4())  # reads what this node committed too
        self._replays = ReplayConfirmation(
            self.windows, self.generations, self.catalogue, self.pool, self._writable, self._repair
        )

    async def project(self, batch: CommittedBatch) -> Mapping[int, Placement]:
        """Bring a batch of this process; user id -> placement in the default board."""
        users = {action.user_id for action in batch.new_actions}
        shifts = await self._push(batch, users)
        if not users:
            return {}
        default = next((w for w in self._open(batch) if w.board.is_default), None)
        shift = shifts.get(default.id) if default is not None else None
        if default is None or shift is None or self.generations.readable(default) is None:
            return await self._counted(default, batch, users)
        placed = {user: shift.placement(user) for user in users}
        placed |= await self._shadowed(default, batch)
        return await attribute_entries(self.index, default, batch, placed)

    async def confirm(self, actions: Sequence[Recorded]) -> float:
        """Make the index hold the batches of replayed actions; return the seconds to wait before acknowledging them.

        Without Redis this node has the other nodes bring them: they are given the time to read the journal.
        Raises LaurelsError.
        """
        return await self._replays.confirm(actions)

    async def follow(self, entry: JournalEntry) -> None:
        """Another process changed standings, and brings them; `keep` sees to it that it did.

        What nobody brings (a ban, a correction) every node brings at once, and the first one does it. More than a
        few users, as of an import, are left to `keep`: once for all nodes is enough.
        """
        if not entry.needs_every_node or len(entry.ids) > HELD_AT_ONCE:
            return
        windows = await self.catalogue.windows_at(datetime.now(UTC))
        for generation in filter(None, map(self.generations.writable, windows)):
            try:
                await self._repair(generation, entry.ids, [entry.id])
            except IndexGone:
                self.generations.invalidate(generation)
            except RedisUnavailable as away:
                self.generations.mark_suspect(str(away))

    def degraded_reasons(self) -> list[str]:
        """What is missing while ranks are counted in the ledger, in words."""
        if not self._redis_answers:
            return ["redis: it does not answer, ranks are counted in the ledger"]
        windows = self.catalogue.cached_windows(datetime.now(UTC)) or ()
        waiting = [window.board.slug for window in windows if self.generations.readable(window) is None]
        return [f"redis: ranks of {slug} are counted in the ledger until the index is complete" for slug in waiting]

    async def load(self, progress: Progress = lambda done, total: None) -> int:
        """Trust what other nodes keep, or build what is missing; returns how many standings that took.

        Without Redis a node starts as well, and counts in the ledger.
        """
        await self._journal.start(await index_generations.oldest_check(self.pool))
        await self.reconcile()
        return await self.build_missing(progress)

    async def reconcile(self) -> None:
        """Look whether the copies are there and lack nothing; bring what is missing. Every KEEP_SECONDS."""
        await self.generations.refresh()
        windows = await self.catalogue.windows_at(datetime.now(UTC))
        losses = self.generations.suspicions
        try:
            await self.windows.ping()  # while Redis is away, the journal is not read on
            self._journal_reads.append(await self._read_journal())
            due = [look for look in self._journal_reads if self._is_due(look)]
            batches = {batch: users for look in due for batch, users in look.entries.items()}
            for window in windows:
                await self._push_missing(window, batches)
        except RedisUnavailable as away:
            self._redis_answers = False
            self.generations.mark_suspect(str(away))
            self._invalidate_if_too_many(windows)
            return
        self._redis_answers = True
        self.generations.mark_complete(losses)
        await self._note_checked(windows, due)

    async def build_missing(self, progress: Progress = lambda done, total: None) -> int:
        """Build the copies that need it, if Redis answers and no other node is at it. Every KEEP_SECONDS."""
        windows = await self.catalogue.windows_at(datetime.now(UTC))
        if not (self._redis_answers and any(map(self._may_build, windows))):
            return 0
        return await self._build_all(windows, progress, anew=False)

    async def rebuild(self, progress: Progress = lambda done, total: None) -> int:
        """Build every open window anew, and wait until this node trusts them. Raises LaurelsError."""
        windows = await self.catalogue.windows_at(datetime.now(UTC))
        built = await self._build_all(windows, progress, anew=True)
        for _ in range(BUILD_TRIES):  # another node may be at it
            await self.reconcile()
            if all(self.generations.readable(window) for window in windows):
                break
            await asyncio.sleep(RECONCILE_SECONDS)
        return built

    async def drop_ended(self, now: datetime) -> None:
        """Free copies of windows that ended a while ago; the ledger keeps them."""
        for window_id, epoch in await index_generations.ended(self.pool, now - KEEP_ENDED):
            try:
                await self.windows.drop(window_id, epoch)
            except RedisUnavailable as away:
                log.info("an ended window stays in Redis for now", reason=str(away))
                return
            await index_generations.forget(self.pool, window_id, epoch)

    def _open(self, batch: CommittedBatch) -> list[Window]:
        """The windows that must be told of a batch, also when it changed nothing there."""
        known = {window.id: window for window in self.catalogue.cached_windows(batch.now) or ()}
        known.update({change.window.id: change.window for change in batch.changes})
        return list(known.values())

    async def _push(self, batch: CommittedBatch, users: Collection[int]) -> dict[int, Shift]:
        """Window id -> what the batch did there; windows that could not be told are left out."""
        rows: dict[int, dict[int, Standing]] = {}
        for change in batch.changes:
            rows.setdefault(change.window.id, {})[change.user_id] = change.standing
        windows = self._open(batch)
        shifts: dict[int, Shift] = {}
        for _ in range(2):  # a copy that was replaced meanwhile is found at the second try
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
                log.debug("copies not looked up", reason=error.detail)
        return [generation for window in windows if (generation := self.generations.writable(window)) is not None]

    async def _apply(self, parts: Sequence[WindowChanges], batch_id: int, shifts: dict[int, Shift]) -> bool:
        """Fill `shifts`; False when Redis did not take them."""
        try:
            replies = await self.windows.apply(parts, batch_id)
        except RedisUnavailable as away:
            self.generations.mark_suspect(str(away))
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
        """Placements from the ledger: the rank now, if it can be counted in time; the one before is not known."""
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
            log.debug("places of shadowed users not counted", reason=error.detail)
            return dict.fromkeys(batch.shadows, Placement(None, None, None, "rebuilding"))

    def _notify(self, window: Window, shift: Shift | None) -> None:
        generation = self.generations.readable(window)
        if shift is not None and generation is not None:
            self.members[window.board.slug] = shift.total
            telemetry.INDEX_MEMBERS.labels(window.board.slug).set(shift.total)
            moved = WindowChanged(window, generation.epoch, shift.seq, shift.top)
        else:
            moved = WindowChanged(window, "", 0, top=True)
        if shift is None or shift.news:
            for listener in self.listeners:
                listener(moved)

    async def _read_journal(self) -> _JournalRead:
        entries = await self._journal.read()
        found = {entry.id: entry.ids for entry in entries if entry.kind == "standings"}
        for reader in self.readers:
            reader({user_id for user_ids in found.values() for user_id in user_ids})
        assert self._journal.horizon is not None
        return _JournalRead(time.monotonic(), self._journal.horizon, found)

    def _is_due(self, look: _JournalRead) -> bool:
        """Whoever is not sure asks at once; else the committing node has its time."""
        return not self.generations.is_complete or look.at <= time.monotonic() - GRACE

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
        """Bring what the ledger says of these users, then mark the batches. Raises RedisAway, IndexGone."""
        users = list(user_ids)
        for start in range(0, max(1, len(users)), HELD_AT_ONCE):
            changes = await standings.of_users(self.pool, [generation.window], users[start : start + HELD_AT_ONCE])
            last = start + HELD_AT_ONCE >= len(users)
            rows = {change.user_id: change.standing for change in changes}
            shift = await self.windows.upsert(generation, rows, batch_ids if last else ())
            if shift.news:
                self._notify(generation.window, None)

    async def _note_checked(self, windows: Sequence[Window], due: Sequence[_JournalRead]) -> None:
        """Forget what was checked; now and then write down how far that is, for nodes that start later."""
        for _ in due:
            self._journal_reads.popleft()
        if due and time.monotonic() >= self._noted_at + NOTE_SECONDS:
            epochs = [
                generation.epoch for window in windows if (generation := self.generations.readable(window)) is not None
            ]
            await index_generations.record_checked(self.pool, epochs, due[-1].horizon)
            self._noted_at = time.monotonic()

    async def _build_all(self, windows: Sequence[Window], progress: Progress, *, anew: bool) -> int:
        """How many standings were poured; 0 when another node builds."""
        built = 0
        async with index_generations.only_builder(self.pool) as connection:
            if connection is None:
                return 0
            await self.generations.refresh()
            try:
                for window in windows:
                    if anew or self._may_build(window):
                        built += await self._build(connection, window, progress)
            except (RedisUnavailable, IndexGone) as error:
                log.warning("building the index was given up for now", reason=str(error))
        return built

    def _may_build(self, window: Window) -> bool:
        row = self.generations.row(window)
        counts = row.epoch if row is not None else None
        return self.generations.needs_building(window) and self._backoff.may_build(window.id, counts)

    async def _build(self, connection: Connection, window: Window, progress: Progress) -> int:
        journal = Journal(self.pool, uuid4())
        first_seq = await journal.start()  # grows faster than any seq, so that none comes twice
        generation = IndexGeneration(window, secrets.token_hex(6))
        server = await self.windows.create(generation, first_seq)
        replaced = await index_generations.begin(connection, window.id, generation.epoch, server)
        if replaced is not None:
            await self.windows.drop(window.id, replaced)  # who still writes there must look for the new one
        contested = self._backoff.built(window.id, generation.epoch, replaced)
        if contested and window.board.is_default:  # the other windows go the same way
            telemetry.INDEX_REBUILD_CONFLICTS.inc()
            log.error(
                "nodes replace each other's index: let REDIS_URL of all lead to one server",
                redis=str(self.windows.address),
                server=server,
            )
        await self.generations.refresh()
        loaded = await bulk_load(self.pool, self.windows, generation, progress)
        await self._catch_up(generation, journal)
        if not await index_generations.finish(connection, window.id, generation.epoch):
            log.warning("another copy counts by now", board=window.board.slug)
            return 0
        await self.generations.refresh()
        log.info("index built", board=window.board.slug, epoch=generation.epoch, standings=loaded)
        self._notify(window, None)
        return loaded

    async def _catch_up(self, generation: IndexGeneration, journal: Journal) -> None:
        """Bring what was committed meanwhile by nodes that could not bring it themselves."""
        batches = {entry.id: entry.ids for entry in await journal.read() if entry.kind == "standings"}
        await self._push_unmarked(generation, batches)


def _part(generation: IndexGeneration, rows: Mapping[int, Standing], users: Collection[int]) -> WindowChanges:
    """Receipts tell ranks of the default board only."""
    default = generation.window.board.is_default
    return WindowChanges(generation, rows, users if default else (), ranked=default)
