"""Build copies of windows in Redis from the ledger, beside live changes."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

import structlog

from ... import telemetry
from ...domain.boards import Window
from ...ledger.db.pool import Connection, Pool
from ...ledger.events.journal import Journal
from ...ledger.standings import index_generations
from ...redis_store import RedisUnavailable
from ..projection_types import OnProgress
from .bulk_load import bulk_load
from .generations import IndexGenerations
from .rebuild_backoff import RebuildBackoff
from .scripts import IndexGone
from .windows import IndexGeneration, RedisWindows

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class IndexBuilder:
    """Builds one copy at a time. `push_unmarked` applies to a copy the batches (id -> users) that it lacks.

    `notify` reports a window that was built.
    """

    windows: RedisWindows
    generations: IndexGenerations
    pool: Pool
    push_unmarked: Callable[[IndexGeneration, Mapping[int, Sequence[int]]], Awaitable[None]]
    notify: Callable[[Window], None]
    _backoff: RebuildBackoff = field(default_factory=RebuildBackoff)

    async def build(self, windows: Sequence[Window], progress: OnProgress, *, rebuild: bool) -> int:
        """Build the windows that need it, or all of them for a `rebuild`; return how many standings were loaded.

        Return 0 when another node builds.
        """
        built = 0
        async with index_generations.only_builder(self.pool) as connection:
            if connection is None:
                return 0
            await self.generations.refresh()
            try:
                for window in windows:
                    if rebuild or self.may_build(window):
                        built += await self._build(connection, window, progress)
            except (RedisUnavailable, IndexGone) as error:
                log.warning("building the index was interrupted and will be tried again", reason=str(error))
        return built

    def may_build(self, window: Window) -> bool:
        """Return whether a window needs building, and this node need not wait before it builds again."""
        row = self.generations.row(window)
        current = row.epoch if row is not None else None
        return self.generations.needs_building(window) and self._backoff.may_build(window.id, current)

    async def _build(self, connection: Connection, window: Window, progress: OnProgress) -> int:
        journal = Journal(self.pool, uuid4())
        first_seq = await journal.start()  # journal ids grow faster than any seq, so no seq comes twice
        generation = IndexGeneration(window, secrets.token_hex(6))
        server = await self.windows.create(generation, first_seq)
        replaced = await index_generations.begin(connection, window.id, generation.epoch, server)
        if replaced is not None:
            await self.windows.drop(window.id, replaced)  # so that nodes that still write to it look for the new one
        contested = self._backoff.built(window.id, generation.epoch, replaced)
        if contested and window.board.is_default:  # reported once: other windows are replaced likewise
            telemetry.INDEX_REBUILD_CONFLICTS.inc()
            log.error(
                "nodes replace each other's index: REDIS_URL of all nodes must lead to one server",
                redis=str(self.windows.address),
                server=server,
            )
        await self.generations.refresh()
        loaded = await bulk_load(self.pool, self.windows, generation, progress)
        await self._catch_up(generation, journal)
        if not await index_generations.finish(connection, window.id, generation.epoch):
            log.warning("another copy has replaced the one just built", board=window.board.slug)
            return 0
        await self.generations.refresh()
        log.info("index built", board=window.board.slug, epoch=generation.epoch, standings=loaded)
        self.notify(window)
        return loaded

    async def _catch_up(self, generation: IndexGeneration, journal: Journal) -> None:
        """Apply what nodes committed meanwhile and could not push themselves."""
        batches = {entry.id: entry.ids for entry in await journal.read() if entry.kind == "standings"}
        await self.push_unmarked(generation, batches)
