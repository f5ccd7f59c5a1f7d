"""Make sure that replayed actions are in the index before they are acknowledged (ADR 22).

The node that committed a batch may never push it: it did not learn of its COMMIT, or it died. Other nodes look for
batches that were not pushed, but give that node a second. The node that answers a retry can't wait for that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ...domain.actions import Recorded
from ...domain.boards import Window
from ...ledger.catalogue.catalogue import Catalogue
from ...ledger.db.pool import Pool
from ...ledger.events.journal import announce_standings
from ...redis_store import RedisUnavailable
from ..confirmed_batches import ConfirmedBatches
from .generations import IndexGenerations
from .scripts import IndexGone
from .windows import APPLY_SECONDS, IndexGeneration, RedisWindows

FOLLOW_SECONDS = 0.6
"""Seconds after which every node has read the journal, and has applied what no other node pushes."""


@dataclass(slots=True)
class ReplayConfirmation:
    """`writable` returns the copies that take changes; `repair` applies the ledger's standings of users to one."""

    windows: RedisWindows
    generations: IndexGenerations
    catalogue: Catalogue
    pool: Pool
    writable: Callable[[Sequence[Window]], Awaitable[list[IndexGeneration]]]
    repair: Callable[[IndexGeneration, Collection[int], Sequence[int]], Awaitable[None]]
    confirmed: ConfirmedBatches = field(default_factory=ConfirmedBatches)

    async def confirm(self, actions: Sequence[Recorded]) -> float:
        """Do what `RedisProjection.confirm` promises."""
        batches = self.confirmed.missing(actions)
        if batches:
            users = set().union(*batches.values())
            if await self._push_users(users, list(batches)):
                self.confirmed.add(batches)
            else:
                await announce_standings(self.pool, sorted(users))
                self.confirmed.add(batches, after=FOLLOW_SECONDS)
        return self.confirmed.wait(actions)

    async def _push_users(self, user_ids: Collection[int], batch_ids: Sequence[int]) -> bool:
        """Apply the ledger's standings of these users to every copy that lacks one of the batches.

        Return False when a copy that other nodes may trust could not be reached in time. The batches are not marked:
        they may have more users than these.
        """
        windows = list(await self.catalogue.windows_at(datetime.now(UTC)))
        try:
            async with asyncio.timeout(APPLY_SECONDS):
                for _ in range(2):  # the second try finds a copy that was replaced meanwhile
                    for generation in await self.writable(windows):
                        if await self._push_unless_marked(generation, user_ids, batch_ids):
                            windows.remove(generation.window)
        except (RedisUnavailable, TimeoutError) as error:
            self.generations.mark_suspect(str(error) or "Redis was too slow")
            return False
        return not any(row is not None and row.ready for row in map(self.generations.row, windows))

    async def _push_unless_marked(
        self, generation: IndexGeneration, user_ids: Collection[int], batch_ids: Sequence[int]
    ) -> bool:
        """Apply the users' standings if a batch is not marked; return False when the copy is gone.

        Raises RedisUnavailable.
        """
        try:
            if await self.windows.unmarked(generation, batch_ids):
                await self.repair(generation, user_ids, ())
        except IndexGone:
            self.generations.invalidate(generation)
            return False
        return True
