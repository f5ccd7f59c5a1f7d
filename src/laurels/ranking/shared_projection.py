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

from .. import telemetry
from ..domain.actions import Placement, Recorded
from ..domain.boards import Window
from ..domain.errors import LaurelsError
from ..domain.standings import Standing
from ..ledger import index_lives, standings
from ..ledger.batch import CommittedBatch
from ..ledger.catalogue import Catalogue
from ..ledger.journal import Entry, Journal
from ..ledger.pool import Connection, Pool
from ..shared import RedisAway
from .contest import Contest
from .entries import attribute_entries
from .index import Shift
from .pouring import pour
from .projection import KEEP_ENDED, Moved, Progress
from .redis import Changes, Life, RedisWindows
from .replays import ReplayConfirmation
from .scripts import IndexGone
from .shadows import shadow_placements
from .shared import LEDGER_SECONDS, Lives, SharedIndex

log = structlog.get_logger(__name__)

KEEP_SECONDS = 0.5
GRACE = 1.0
"""Seconds that a node has to bring its own commit before others look whether it did."""
NOTE_SECONDS = 5.0
"""Between two notes in the ledger of how far the copies are complete."""
REBUILD_AFTER = 6 * 3_600.0
"""A copy that nobody checked for so long is built anew: the journal is kept for a day."""
HELD_AT_ONCE = 1_000
MOST_LOOKS = 1_200
"""Looks at the journal kept for a Redis that answers but takes nothing: ten minutes. Then building anew costs less."""
BUILD_TRIES = 60


@dataclass(frozen=True, slots=True)
class _Look:
    """What one look at the journal brought: everything before `horizon` is in this look or an earlier one."""

    at: float
    horizon: str
    entries: Mapping[int, Sequence[int]]


@dataclass(slots=True)
class SharedProjection:
    """Feeds Redis. `listeners` hear of every window that this node saw moving, `readers` whom the journal named."""

    windows: RedisWindows
    index: SharedIndex
    lives: Lives
    catalogue: Catalogue
    pool: Pool
    listeners: list[Callable[[Moved], None]] = field(default_factory=list)
    readers: list[Callable[[Collection[int]], None]] = field(default_factory=list)
    _journal: Journal = field(init=False)
    _looks: deque[_Look] = field(default_factory=deque)
    _answers: bool = False
    _noted_at: float = 0.0
    _contest: Contest = field(default_factory=Contest)
    _replays: ReplayConfirmation = field(init=False)

    def __post_init__(self) -> None:
        self._journal = Journal(self.pool, uuid4())  # reads what this node committed too
        self._replays = ReplayConfirmation(
            self.windows, self.lives, self.catalogue, self.pool, self._writable, self._heal
        )

    async def project(self, batch: CommittedBatch) -> Mapping[int, Placement]:
        """Bring a batch of this process; user id -> placement in the default board."""
        users = {action.user_id for action in batch.new_actions}
        shifts = await self._bring(batch, users)
        if not users:
            return {}
        default = next((w for w in self._open(batch) if w.board.is_default), None)
        shift = shifts.get(default.id) if default is not None else None
        if default is None or shift is None or self.lives.readable(default) is None:
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

    async def follow(self, entry: Entry) -> None:
        """Another process changed standings, and brings them; `keep` sees to it that it did.

        What nobody brings (a ban, a correction) every node brings at once, and the first one does it. More than a
        few users, as of an import, are left to `keep`: once for all nodes is enough.
        """
        if not entry.is_nobodys or len(entry.ids) > HELD_AT_ONCE:
            return
        windows = await self.catalogue.windows_at(datetime.now(UTC))
        for life in filter(None, map(self.lives.writable, windows)):
            try:
                await self._heal(life, entry.ids, [entry.id])
            except IndexGone:
                self.lives.gone(life)
            except RedisAway as away:
                self.lives.lose(str(away))

    def lacks(self) -> list[str]:
        """What is missing while ranks are counted in the ledger, in words."""
        if not self._answers:
            return ["redis: it does not answer, ranks are counted in the ledger"]
        windows = self.catalogue.cached_windows(datetime.now(UTC)) or ()
        waiting = [window.board.slug for window in windows if self.lives.readable(window) is None]
        return [f"redis: ranks of {slug} are counted in the ledger until the index is complete" for slug in waiting]

    async def load(self, progress: Progress = lambda done, total: None) -> int:
        """Trust what other nodes keep, or build what is missing; returns how many standings that took.

        Without Redis a node starts as well, and counts in the ledger.
        """
        await self._journal.start(await index_lives.oldest_check(self.pool))
        await self.keep()
        return await self.build_missing(progress)

    async def keep(self) -> None:
        """Look whether the copies are there and lack nothing; bring what is missing. Every KEEP_SECONDS."""
        await self.lives.refresh()
        windows = await self.catalogue.windows_at(datetime.now(UTC))
        losses = self.lives.losses
        try:
            await self.windows.ping()  # while Redis is away, the journal is not read on
            self._looks.append(await self._look())
            due = [look for look in self._looks if self._is_due(look)]
            batches = {batch: users for look in due for batch, users in look.entries.items()}
            for window in windows:
                await self._bring_missing(window, batches)
        except RedisAway as away:
            self._answers = False
            self.lives.lose(str(away))
            self._forget_if_too_many(windows)
            return
        self._answers = True
        self.lives.regain(losses)
        await self._note_checked(windows, due)

    async def build_missing(self, progress: Progress = lambda done, total: None) -> int:
        """Build the copies that need it, if Redis answers and no other node is at it. Every KEEP_SECONDS."""
        windows = await self.catalogue.windows_at(datetime.now(UTC))
        if not (self._answers and any(map(self._may_build, windows))):
            return 0
        return await self._build_all(windows, progress, anew=False)

    async def rebuild(self, progress: Progress = lambda done, total: None) -> int:
        """Build every open window anew, and wait until this node trusts them. Raises LaurelsError."""
        windows = await self.catalogue.windows_at(datetime.now(UTC))
        built = await self._build_all(windows, progress, anew=True)
        for _ in range(BUILD_TRIES):  # another node may be at it
            await self.keep()
            if all(self.lives.readable(window) for window in windows):
                break
            await asyncio.sleep(KEEP_SECONDS)
        return built

    async def drop_ended(self, now: datetime) -> None:
        """Free copies of windows that ended a while ago; the ledger keeps them."""
        for window_id, epoch in await index_lives.over(self.pool, now - KEEP_ENDED):
            try:
                await self.windows.drop(window_id, epoch)
            except RedisAway as away:
                log.info("an ended window stays in Redis for now", reason=str(away))
                return
            await index_lives.forget(self.pool, window_id, epoch)

    def _open(self, batch: CommittedBatch) -> list[Window]:
        """The windows that must be told of a batch, also when it changed nothing there."""
        known = {window.id: window for window in self.catalogue.cached_windows(batch.now) or ()}
        known.update({change.window.id: change.window for change in batch.changes})
        return list(known.values())

    async def _bring(self, batch: CommittedBatch, users: Collection[int]) -> dict[int, Shift]:
        """Window id -> what the batch did there; windows that could not be told are left out."""
        rows: dict[int, dict[int, Standing]] = {}
        for change in batch.changes:
            rows.setdefault(change.window.id, {})[change.user_id] = change.standing
        windows = self._open(batch)
        shifts: dict[int, Shift] = {}
        for _ in range(2):  # a copy that was replaced meanwhile is found at the second try
            missing = [window for window in windows if window.id not in shifts]
            lives = await self._writable(missing)
            parts = [_part(life, rows.get(life.window.id, {}), users) for life in lives]
            if not parts or not await self._take(parts, batch.batch_id, shifts):
                break
        if len(shifts) == len(windows):
            self._replays.confirmed.add([batch.batch_id])
        for window in windows:
            self._tell(window, shifts.get(window.id))
        return shifts

    async def _writable(self, windows: Sequence[Window]) -> list[Life]:
        if self._answers and not all(map(self.lives.writable, windows)):
            try:
                await self.lives.refresh()
            except LaurelsError as error:
                log.debug("copies not looked up", reason=error.detail)
        return [life for window in windows if (life := self.lives.writable(window)) is not None]

    async def _take(self, parts: Sequence[Changes], batch_id: int, shifts: dict[int, Shift]) -> bool:
        """Fill `shifts`; False when Redis did not take them."""
        try:
            replies = await self.windows.take(parts, batch_id)
        except RedisAway as away:
            self.lives.lose(str(away))
            return False
        for part, reply in zip(parts, replies, strict=True):
            if isinstance(reply, IndexGone):
                self.lives.gone(part.life)
            else:
                shifts[part.life.window.id] = reply
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

    def _tell(self, window: Window, shift: Shift | None) -> None:
        life = self.lives.readable(window)
        if shift is not None and life is not None:
            telemetry.INDEX_MEMBERS.labels(window.board.slug).set(shift.total)
            moved = Moved(window, life.epoch, shift.seq, shift.top)
        else:
            moved = Moved(window, "", 0, top=True)
        if shift is None or shift.news:
            for listener in self.listeners:
                listener(moved)

    async def _look(self) -> _Look:
        entries = await self._journal.read()
        found = {entry.id: entry.ids for entry in entries if entry.kind == "standings"}
        for reader in self.readers:
            reader({user_id for user_ids in found.values() for user_id in user_ids})
        assert self._journal.horizon is not None
        return _Look(time.monotonic(), self._journal.horizon, found)

    def _is_due(self, look: _Look) -> bool:
        """Whoever is not sure asks at once; else the committing node has its time."""
        return not self.lives.is_sure or look.at <= time.monotonic() - GRACE

    def _forget_if_too_many(self, windows: Sequence[Window]) -> None:
        if len(self._looks) <= MOST_LOOKS:
            return
        self._looks.clear()
        for window in windows:
            life = self.lives.writable(window)
            if life is not None:
                self.lives.gone(life)

    async def _bring_missing(self, window: Window, batches: Mapping[int, Sequence[int]]) -> None:
        life, row = self.lives.writable(window), self.lives.row(window)
        if life is None or row is None:
            return
        if row.ready and row.age > REBUILD_AFTER:
            self.lives.gone(life)
            return
        try:
            await self._bring_unmarked(life, batches)
        except IndexGone:
            self.lives.gone(life)

    async def _bring_unmarked(self, life: Life, batches: Mapping[int, Sequence[int]]) -> None:
        missing = sorted(await self.windows.unmarked(life, list(batches)))
        if missing:
            await self._heal(life, {user for batch in missing for user in batches[batch]}, missing)
            telemetry.INDEX_HEALED.inc(len(missing))

    async def _heal(self, life: Life, user_ids: Collection[int], batch_ids: Sequence[int]) -> None:
        """Bring what the ledger says of these users, then mark the batches. Raises RedisAway, IndexGone."""
        users = list(user_ids)
        for start in range(0, max(1, len(users)), HELD_AT_ONCE):
            changes = await standings.of_users(self.pool, [life.window], users[start : start + HELD_AT_ONCE])
            last = start + HELD_AT_ONCE >= len(users)
            rows = {change.user_id: change.standing for change in changes}
            shift = await self.windows.pour(life, rows, batch_ids if last else ())
            if shift.news:
                self._tell(life.window, None)

    async def _note_checked(self, windows: Sequence[Window], due: Sequence[_Look]) -> None:
        """Forget what was checked; now and then write down how far that is, for nodes that start later."""
        for _ in due:
            self._looks.popleft()
        if due and time.monotonic() >= self._noted_at + NOTE_SECONDS:
            epochs = [life.epoch for window in windows if (life := self.lives.readable(window)) is not None]
            await index_lives.note_checked(self.pool, epochs, due[-1].horizon)
            self._noted_at = time.monotonic()

    async def _build_all(self, windows: Sequence[Window], progress: Progress, *, anew: bool) -> int:
        """How many standings were poured; 0 when another node builds."""
        built = 0
        async with index_lives.only_builder(self.pool) as connection:
            if connection is None:
                return 0
            await self.lives.refresh()
            try:
                for window in windows:
                    if anew or self._may_build(window):
                        built += await self._build(connection, window, progress)
            except (RedisAway, IndexGone) as error:
                log.warning("building the index was given up for now", reason=str(error))
        return built

    def _may_build(self, window: Window) -> bool:
        row = self.lives.row(window)
        counts = row.epoch if row is not None else None
        return self.lives.needs_building(window) and self._contest.may_build(window.id, counts)

    async def _build(self, connection: Connection, window: Window, progress: Progress) -> int:
        journal = Journal(self.pool, uuid4())
        first_seq = await journal.start()  # grows faster than any seq, so that none comes twice
        life = Life(window, secrets.token_hex(6))
        server = await self.windows.open(life, first_seq)
        replaced = await index_lives.begin(connection, window.id, life.epoch, server)
        if replaced is not None:
            await self.windows.drop(window.id, replaced)  # who still writes there must look for the new one
        contested = self._contest.built(window.id, life.epoch, replaced)
        if contested and window.board.is_default:  # the other windows go the same way
            telemetry.INDEX_CONTESTS.inc()
            log.error(
                "nodes replace each other's index: let REDIS_URL of all lead to one server",
                redis=str(self.windows.address),
                server=server,
            )
        await self.lives.refresh()
        poured = await pour(self.pool, self.windows, life, progress)
        await self._catch_up(life, journal)
        if not await index_lives.finish(connection, window.id, life.epoch):
            log.warning("another copy counts by now", board=window.board.slug)
            return 0
        await self.lives.refresh()
        log.info("index built", board=window.board.slug, epoch=life.epoch, standings=poured)
        self._tell(window, None)
        return poured

    async def _catch_up(self, life: Life, journal: Journal) -> None:
        """Bring what was committed meanwhile by nodes that could not bring it themselves."""
        batches = {entry.id: entry.ids for entry in await journal.read() if entry.kind == "standings"}
        await self._bring_unmarked(life, batches)


def _part(life: Life, rows: Mapping[int, Standing], users: Collection[int]) -> Changes:
    """Receipts tell ranks of the default board only."""
    default = life.window.board.is_default
    return Changes(life, rows, users if default else (), ranked=default)
