"""After a failover, find standings that the index holds and the new primary lacks.

A primary that is being demoted shows, for a moment, rows that no standby has confirmed, and a node that reads the
journal just then applies them to the index. They were never acknowledged, and the new primary lacks them. Their
versions are not older than the ledger's, so no later read of the ledger replaces them.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from ..domain.standings import Standing
from ..ledger.catalogue.catalogue import Catalogue
from ..ledger.db.pool import Pool
from ..ledger.events import journal
from ..ledger.standings import standings
from .index import HeldIndex

log = structlog.get_logger(__name__)

RECENT_SECONDS = 60.0
"""Rows read earlier had reached a standby long before the failover."""
MOST_RECENT = 20_000
"""Users remembered at most; the oldest are dropped first."""
CHUNK = 500


@dataclass(slots=True)
class FailoverCheck:
    """Call `check` now and then. `rebuild` rebuilds the index from the ledger."""

    pool: Pool
    catalogue: Catalogue
    index: HeldIndex
    rebuild: Callable[[], Awaitable[object]]
    clock: Callable[[], float] = time.monotonic
    _timeline: int | None = None
    _recent: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=MOST_RECENT))

    def record_seen(self, user_ids: Collection[int]) -> None:
        """Record that standings of these users were applied as the ledger showed them."""
        now = self.clock()
        self._recent.extend((now, user_id) for user_id in user_ids)

    async def check(self) -> None:
        """After a failover compare and, if need be, rebuild. Raises LaurelsError; the next call tries again."""
        timeline = await journal.timeline(self.pool)
        if self._timeline not in (None, timeline):
            await self._reconcile()
        self._timeline = timeline

    async def _reconcile(self) -> None:
        since = self.clock() - RECENT_SECONDS
        users = sorted({user_id for at, user_id in self._recent if at >= since})
        phantoms = 0
        for start in range(0, len(users), CHUNK):
            phantoms += await self._phantom_standings(users[start : start + CHUNK])
        log.info("the ledger failed over: the index was compared", users=len(users), ahead=phantoms)
        if phantoms:
            await self.rebuild()
        self._recent.clear()

    async def _phantom_standings(self, users: Sequence[int]) -> int:
        """Count standings of the index that the ledger, read afterwards, has neither equal nor newer."""
        found = 0
        for window in await self.catalogue.windows_at(datetime.now(UTC)):
            held = await self.index.held(window, users)
            rows = await standings.of_users(self.pool, [window], users)
            present = {row.user_id: row.standing for row in rows}
            found += sum(_is_phantom(standing, present.get(user_id)) for user_id, standing in held.items())
        return found


def _is_phantom(held: Standing, row: Standing | None) -> bool:
    if row is None or row.version != held.version:
        return row is None or row.version < held.version
    return (row.score, row.reached_at) != (held.score, held.reached_at)
