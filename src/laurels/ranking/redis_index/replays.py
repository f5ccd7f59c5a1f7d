"""Replayed actions of the shared index: their batches are in it before they are acknowledged.

The node that committed a batch may never bring it: it did not hear of its COMMIT, or it died. Other nodes look for what
was not brought, but give that node a second. The one that acknowledges the batch to a retry must not wait for that
(ADR 22).
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
from ..confirmed import ConfirmedBatches
from .generations import IndexGenerations
from .scripts import IndexGone
from .windows import APPLY_SECONDS, IndexGeneration, RedisWindows

FOLLOW_SECONDS = 0.6
"""By then every node has read the journal, and has brought what it says that no other node will."""


@dataclass(slots=True)
class ReplayConfirmation:
    """`writable` looks up the copies that take changes, `heal` brings what the ledger says of users to one of them."""

    windows: RedisWindows
    generations: IndexGenerations
    catalogue: Catalogue
    pool: Pool
    writable: Callable[[Sequence[Window]], Awaitable[list[IndexGeneration]]]
    heal: Callable[[IndexGeneration, Collection[int], Sequence[int]], Awaitable[None]]
    confirmed: ConfirmedBatches = field(default_factory=ConfirmedBatches)

    async def confirm(self, actions: Sequence[Recorded]) -> float:
        """See SharedProjection.confirm."""
        batches = self.confirmed.missing(actions)
        if batches:
            users = set().union(*batches.values())
            if await self._bring_users(users, list(batches)):
                self.confirmed.add(batches)
            else:
                await announce_standings(self.pool, sorted(users))
                self.confirmed.add(batches, after=FOLLOW_SECONDS)
        return self.confirmed.wait(actions)

    async def _bring_users(self, user_ids: Collection[int], batch_ids: Sequence[int]) -> bool:
        """Bring what the ledger says of these users to every copy that lacks one of the batches.

        Return False when a copy that other nodes may believe could not be told in time. The batches are not marked:
        they may have more users than these.
        """
        windows = list(await self.catalogue.windows_at(datetime.now(UTC)))
        try:
            async with asyncio.timeout(APPLY_SECONDS):
                for _ in range(2):  # a copy that was replaced meanwhile is found at the second try
                    for generation in await self.writable(windows):
                        if await self._bring_unless_marked(generation, user_ids, batch_ids):
                            windows.remove(generation.window)
        except (RedisUnavailable, TimeoutError) as error:
            self.generations.mark_suspect(str(error) or "Redis was too slow")
            return False
        return not any(row is not None and row.ready for row in map(self.generations.row, windows))

    async def _bring_unless_marked(
        self, generation: IndexGeneration, user_ids: Collection[int], batch_ids: Sequence[int]
    ) -> bool:
        """Return False when the copy is gone. Raises RedisAway."""
        try:
            if await self.windows.unmarked(generation, batch_ids):
                await self.heal(generation, user_ids, ())
        except IndexGone:
            self.generations.invalidate(generation)
            return False
        return True
