"""The index of several nodes: Redis while it can be trusted, the ledger otherwise.

A copy in Redis is asked when the ledger names it as the right one and complete, and when this node
has seen, a moment ago, that it lacks no commit. All else is counted in the ledger: exact too, but
slow, so few count at once, none for long, and the answer says `rebuilding`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from typing import TypeVar

import msgspec
import structlog

from .. import telemetry
from ..concurrency.single_flight import SingleFlight
from ..domain.boards import Window
from ..domain.errors import Code, LaurelsError
from ..domain.standings import Standing
from ..ledger.db.liveness import ROUTE_SECONDS, within
from ..ledger.db.pool import Pool
from ..ledger.standings import index_generations
from ..ledger.standings.index_generations import GenerationRow
from ..redis_store import RedisUnavailable
from .index import Place, Position, Ranking
from .redis_windows import IndexGeneration, RedisWindows
from .scripts import IndexGone
from .sql_index import SqlIndex

log = structlog.get_logger(__name__)

LEDGER_AT_ONCE = 4
LEDGER_WAITING = 64
LEDGER_SECONDS = 0.9
"""How long the ledger may say nothing: with the deadline of a call to Redis before it, less than 2 s."""
T = TypeVar("T")


class IndexGenerations:
    """Which copy of each window this node believes in.

    `is_sure`: every commit that is old enough was seen to be in the copies, and none was lost since.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._rows: dict[int, GenerationRow] = {}
        self._invalid: set[str] = set()
        self._made: dict[str, IndexGeneration] = {}
        self._one_look = asyncio.Lock()
        self._looks = 0
        self.suspicions = 0
        """How often something may not have reached the copies."""
        self.is_complete = False

    async def refresh(self) -> None:
        """Ask the ledger. Who asks while another asks takes that one's answer, if it began later."""
        looks = self._looks
        async with self._one_look:
            if self._looks > looks + 1:
                return
            self._rows = await index_generations.read(self._pool)
            self._looks += 1
            epochs = {row.epoch for row in self._rows.values()}
            self._invalid &= epochs
            self._made = {epoch: generation for epoch, generation in self._made.items() if epoch in epochs}

    def row(self, window: Window) -> GenerationRow | None:
        return self._rows.get(window.id)

    def writable(self, window: Window) -> IndexGeneration | None:
        """The copy that takes changes, complete or not."""
        row = self._rows.get(window.id)
        if row is None or row.epoch in self._invalid:
            return None
        generation = self._made.get(row.epoch)
        if generation is None or generation.window is not window:  # the board may have a new name
            generation = self._made[row.epoch] = IndexGeneration(window, row.epoch)
        return generation

    def readable(self, window: Window) -> IndexGeneration | None:
        """The copy that may be asked."""
        row = self._rows.get(window.id)
        return self.writable(window) if self.is_complete and row is not None and row.ready else None

    def needs_building(self, window: Window) -> bool:
        row = self._rows.get(window.id)
        return row is None or not row.ready or row.epoch in self._invalid

    def invalidate(self, generation: IndexGeneration) -> None:
        """Redis does not have this copy as it was built: never ask it again."""
        if generation.epoch not in self._invalid:
            self._invalid.add(generation.epoch)
            log.warning("an index must be built anew", board=generation.window.board.slug, epoch=generation.epoch)

    def mark_suspect(self, reason: str) -> None:
        """A change may not have reached the copies: count in the ledger until they are seen to be complete."""
        if self.is_complete:
            log.warning("ranks are counted in the ledger for now", reason=reason)
        self.is_complete = False
        self.suspicions += 1
        telemetry.INDEX_TRUSTED.set(0)

    def mark_complete(self, losses: int) -> None:
        """The copies are complete, unless something was lost since `losses` was read."""
        if self.suspicions != losses:
            return
        if not self.is_complete:
            log.info("the shared index is complete")
        self.is_complete = True
        telemetry.INDEX_TRUSTED.set(1)


class FallbackIndex:
    """Answers like any Index. Raises LaurelsError(OVERLOADED) when neither Redis nor the ledger can answer in time."""

    def __init__(self, windows: RedisWindows, ledger: SqlIndex, generations: IndexGenerations) -> None:
        self._windows = windows
        self._ledger = ledger
        self._generations = generations
        self._turns = asyncio.Semaphore(LEDGER_AT_ONCE)
        self._waiting = 0
        self._positions: SingleFlight[int, Position] = SingleFlight()

    async def position(self, window: Window) -> Position:
        """One question for all who wait: readers of a ready board ask for nothing else."""
        return await self._positions.run(window.id, lambda: self._position(window))

    async def _position(self, window: Window) -> Position:
        return await self._ask_or_count(window, self._windows.position, lambda: self._ledger.position(window))

    async def top(self, window: Window, size: int) -> Ranking:
        return await self._ask_or_count(
            window,
            lambda generation: self._windows.top(generation, size),
            lambda: self._ranked(self._ledger.top(window, size)),
        )

    async def around(self, window: Window, user_id: int, radius: int) -> Ranking:
        return await self._ask_or_count(
            window,
            lambda generation: self._windows.around(generation, user_id, radius),
            lambda: self._ranked(self._ledger.around(window, user_id, radius)),
        )

    async def places(self, window: Window, user_ids: Collection[int]) -> Ranking:
        return await self._ask_or_count(
            window,
            lambda generation: self._windows.places(generation, user_ids),
            lambda: self.counted(window, user_ids),
        )

    async def place_of(self, window: Window, user_id: int, standing: Standing) -> Place:
        return await self._ask_or_count(
            window,
            lambda generation: self._windows.place_of(generation, user_id, standing),
            lambda: self._ledger.place_of(window, user_id, standing),
        )

    async def counted(self, window: Window, user_ids: Collection[int], *, most: float = ROUTE_SECONDS) -> Ranking:
        """`places`, counted in the ledger without asking Redis, in `most` seconds. Raises LaurelsError."""
        return await self._count_in_ledger(lambda: self._ranked(self._ledger.places(window, user_ids)), most)

    async def held(self, window: Window, user_ids: Sequence[int]) -> dict[int, Standing]:
        return await self._ask_copy(window, lambda generation: self._windows.held(generation, user_ids))

    async def members(self, window: Window) -> AsyncIterator[dict[int, Standing]]:
        generation = self._generations.readable(window)
        if generation is None:
            raise _rebuilding()
        try:
            async for page in self._windows.members(generation):
                yield page
        except (IndexGone, RedisUnavailable) as error:
            raise _rebuilding() from error

    async def sample(self, window: Window, size: int) -> list[int]:
        return await self._ask_copy(window, lambda generation: self._windows.sample(generation, size))

    async def count(self, window: Window) -> int:
        return await self._ask_copy(window, self._windows.count)

    async def _ask_or_count(
        self, window: Window, ask: Callable[[IndexGeneration], Awaitable[T]], count: Callable[[], Awaitable[T]]
    ) -> T:
        generation = self._generations.readable(window)
        if generation is not None:
            try:
                return await ask(generation)
            except IndexGone:
                self._generations.invalidate(generation)
            except RedisUnavailable as away:
                log.debug("Redis did not answer a read", reason=str(away))
        return await self._count_in_ledger(count)

    async def _count_in_ledger(self, count: Callable[[], Awaitable[T]], most: float = ROUTE_SECONDS) -> T:
        if self._waiting >= LEDGER_WAITING:
            raise _too_many()
        self._waiting += 1
        try:
            async with within(self._ledger.pool, silent=LEDGER_SECONDS, most=most), self._turns:
                telemetry.INDEX_FALLBACK_READS.inc()
                return await count()
        finally:
            self._waiting -= 1

    async def _ask_copy(self, window: Window, ask: Callable[[IndexGeneration], Awaitable[T]]) -> T:
        """For comparing the copy with the ledger: no copy, no answer. Raises LaurelsError(OVERLOADED)."""
        generation = self._generations.readable(window)
        if generation is None:
            raise _rebuilding()
        try:
            return await ask(generation)
        except IndexGone as gone:
            self._generations.invalidate(generation)
            raise _rebuilding() from gone
        except RedisUnavailable as away:
            raise _rebuilding() from away

    async def _ranked(self, work: Awaitable[Ranking]) -> Ranking:
        return msgspec.structs.replace(await work, rank_state="rebuilding")


def _too_many() -> LaurelsError:
    return LaurelsError(
        Code.OVERLOADED, "Ranks are counted in the ledger at present, and too many are asked for.", retry_after=1
    )


def _rebuilding() -> LaurelsError:
    return LaurelsError(Code.OVERLOADED, "The shared index is away or being built.", retry_after=5)
