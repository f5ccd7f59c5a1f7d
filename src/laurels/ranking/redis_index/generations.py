"""Decide which copy of each window in Redis this node writes to and reads."""

from __future__ import annotations

import structlog

from ... import telemetry
from ...concurrency.single_flight import SingleFlight
from ...domain.boards import Window
from ...ledger.db.pool import Pool
from ...ledger.standings import index_generations
from ...ledger.standings.index_generations import GenerationRow
from .windows import IndexGeneration

log = structlog.get_logger(__name__)


class IndexGenerations:
    """The current copy of each window, as the ledger and this node's experience say.

    `is_complete`: every commit older than GRACE was seen to be in the copies, and none may have been lost since.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._rows: dict[int, GenerationRow] = {}
        self._invalid: set[str] = set()
        self._by_epoch: dict[str, IndexGeneration] = {}
        self._reads: SingleFlight[None, None] = SingleFlight()
        self.suspicions = 0
        """Counts the times that a change may not have reached the copies."""
        self.is_complete = False

    async def refresh(self) -> None:
        """Read again from the ledger which copies count. Concurrent callers share one read that begins after them."""
        await self._reads.run_fresh(None, self._read)

    async def _read(self) -> None:
        self._rows = await index_generations.read(self._pool)
        epochs = {row.epoch for row in self._rows.values()}
        self._invalid &= epochs
        self._by_epoch = {epoch: generation for epoch, generation in self._by_epoch.items() if epoch in epochs}

    def row(self, window: Window) -> GenerationRow | None:
        """Return what the ledger says of the window's copy."""
        return self._rows.get(window.id)

    def writable(self, window: Window) -> IndexGeneration | None:
        """Return the copy that takes changes, complete or not."""
        row = self._rows.get(window.id)
        if row is None or row.epoch in self._invalid:
            return None
        generation = self._by_epoch.get(row.epoch)
        if generation is None or generation.window is not window:  # the board may have been edited
            generation = self._by_epoch[row.epoch] = IndexGeneration(window, row.epoch)
        return generation

    def readable(self, window: Window) -> IndexGeneration | None:
        """Return the copy that ranks may be read from; None: count in the ledger."""
        row = self._rows.get(window.id)
        return self.writable(window) if self.is_complete and row is not None and row.ready else None

    def needs_building(self, window: Window) -> bool:
        """Return whether the window has no copy that was built to the end."""
        row = self._rows.get(window.id)
        return row is None or not row.ready or row.epoch in self._invalid

    def invalidate(self, generation: IndexGeneration) -> None:
        """Never use this copy again: Redis does not have it as it was built."""
        if generation.epoch not in self._invalid:
            self._invalid.add(generation.epoch)
            log.warning("an index must be rebuilt", board=generation.window.board.slug, epoch=generation.epoch)

    def mark_suspect(self, reason: str) -> None:
        """Count in the ledger until the copies are known to be complete: a change may not have reached them."""
        if self.is_complete:
            log.warning("ranks are counted in the ledger for now", reason=reason)
        self.is_complete = False
        self.suspicions += 1
        telemetry.INDEX_TRUSTED.set(0)

    def mark_complete(self, suspicions: int) -> None:
        """Trust the copies, unless they became suspect since `suspicions` was read."""
        if self.suspicions != suspicions:
            return
        if not self.is_complete:
            log.info("the shared index is complete")
        self.is_complete = True
        telemetry.INDEX_TRUSTED.set(1)
