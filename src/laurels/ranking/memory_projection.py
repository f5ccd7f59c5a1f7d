"""The only writer of the index in memory.

It applies batches that this process committed (at once), commits of other processes (from the journal), and the whole
ledger (at start and on a rebuild). Applying is idempotent and monotone by version, so order and overlap don't matter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from .. import telemetry
from ..domain.actions import Placement, Recorded
from ..domain.boards import Window
from ..domain.standings import Standing
from ..ledger.catalogue.catalogue import Catalogue
from ..ledger.db.pool import Pool
from ..ledger.events.journal import JournalEntry
from ..ledger.standings import standings
from ..ledger.write.batch import CommittedBatch, StandingChange
from .confirmed_batches import ConfirmedBatches
from .index import Shift
from .memory_index import MemoryIndex
from .projection_types import KEEP_ENDED, OnProgress, WindowChanged
from .shadows import shadow_placements
from .top_entries import attribute_entries

SLICE = 250
"""Members applied between two turns of the loop during a rebuild: some 10 ms."""


@dataclass(slots=True)
class MemoryProjection:
    """Writes to `index`. `listeners` are called for every window that changed, synchronously."""

    index: MemoryIndex
    catalogue: Catalogue
    pool: Pool
    listeners: list[Callable[[WindowChanged], None]] = field(default_factory=list)
    members: dict[str, int] = field(default_factory=dict)
    """Standings in the index, by board."""
    _confirmed: ConfirmedBatches = field(default_factory=ConfirmedBatches)
    _one_rebuild: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def project(self, batch: CommittedBatch) -> Mapping[int, Placement]:
        """Apply a batch of this process; return each user's placement on the default board."""
        shifts = self._apply(batch.changes)
        self._confirmed.add([batch.batch_id])
        users = {action.user_id for action in batch.new_actions}
        if not users:
            return {}
        window = await self.catalogue.window(self.catalogue.default_board, batch.now)
        placements = self._placements(window, users, shifts.get(window.id))
        placements |= await shadow_placements(self.index, window, batch)
        return await attribute_entries(self.index, window, batch, placements)

    async def confirm(self, actions: Sequence[Recorded]) -> float:
        """Make the index hold the batches of replayed actions; return the seconds to wait before acknowledging them.

        Raises LaurelsError.
        """
        batches = self._confirmed.missing(actions)
        if batches:
            await self.repair(sorted(set().union(*batches.values())))
            self._confirmed.add(batches)
        return 0.0

    async def repair(self, user_ids: Sequence[int]) -> None:
        """Apply the ledger's standings of these users, which another process changed."""
        windows = await self.catalogue.windows_at(datetime.now(UTC))
        self._apply(await standings.of_users(self.pool, windows, user_ids))

    async def follow(self, entry: JournalEntry) -> None:
        """Apply a journal entry of another process that changed standings."""
        await self.repair(entry.ids)

    async def load(self, progress: OnProgress = lambda done, total: None) -> int:
        """Load all open windows from the ledger; return the number of standings."""
        loaded = 0
        for window in await self.catalogue.windows_at(datetime.now(UTC)):
            total = await standings.count(self.pool, window)
            members: list[tuple[int, Standing]] = []
            async for page in standings.stream(self.pool, window):
                members.extend(page)
                progress(loaded + len(members), loaded + total)
            self.index.window(window).load(members)
            loaded += len(members)
            self._update_members(window)
        return loaded

    async def rebuild(self, progress: OnProgress = lambda done, total: None) -> int:
        """Rebuild every open window beside live writes and swap it in; return the number of standings.

        `progress` counts each window by itself.
        """
        rebuilt = 0
        async with self._one_rebuild:  # a second rebuild waits: a window has one copy at a time
            for window in await self.catalogue.windows_at(datetime.now(UTC)):
                try:
                    rebuilt += await self._rebuild_window(window, progress)
                finally:
                    self.index.abandon_rebuild(window)
        return rebuilt

    async def _rebuild_window(self, window: Window, progress: OnProgress) -> int:
        total = await standings.count(self.pool, window)
        fresh = self.index.begin_rebuild(window)
        async for page in standings.stream(self.pool, window):
            for start in range(0, len(page), SLICE):
                fresh.apply(page[start : start + SLICE])
                await asyncio.sleep(0)
            progress(len(fresh), total)
        self.index.finish_rebuild(fresh)
        self._notify(WindowChanged(window, self.index.epoch, fresh.seq, top=True))
        return len(fresh)

    async def drop_ended(self, now: datetime) -> None:
        """Forget windows that ended KEEP_ENDED ago; the ledger keeps them."""
        for held in self.index.windows():
            ends_at = held.window.span.ends_at
            if ends_at is not None and ends_at + KEEP_ENDED < now:
                self.index.drop(held.window.id)

    def _apply(self, changes: Sequence[StandingChange]) -> dict[int, Shift]:
        shifts = self.index.apply(changes)
        windows = {change.window.id: change.window for change in changes}
        for window_id, shift in shifts.items():
            window = windows[window_id]
            self._update_members(window)
            self._notify(WindowChanged(window, self.index.epoch, shift.seq, shift.top))
        return shifts

    def _notify(self, change: WindowChanged) -> None:
        for listener in self.listeners:
            listener(change)

    def _placements(self, window: Window, users: set[int], shift: Shift | None) -> dict[int, Placement]:
        held = self.index.window(window)
        ranks = shift.ranks if shift else {}
        placements = {}
        for user_id in users:
            before, after = ranks.get(user_id) or (held.rank(user_id),) * 2
            placements[user_id] = Placement(after, before, held.seq, "exact")
        return placements

    def _update_members(self, window: Window) -> None:
        self.members[window.board.slug] = members = len(self.index.window(window))
        telemetry.INDEX_MEMBERS.labels(window.board.slug).set(members)
