"""The index of several nodes: Redis while it can be trusted, the ledger otherwise.

A copy in Redis is read when the ledger names it as the current, complete one, and this node checked a moment ago that
it lacks no commit. Otherwise ranks are counted in the ledger: exact too, but slow. So few callers count at once, none
for long, and the answer says `rebuilding`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from typing import TypeVar

import msgspec
import structlog

from ... import telemetry
from ...concurrency.bulkhead import Bulkhead
from ...concurrency.single_flight import SingleFlight
from ...domain.boards import Window
from ...domain.errors import Code, LaurelsError
from ...domain.standings import Standing
from ...ledger.db.liveness import ROUTE_SECONDS, within
from ...redis_store import RedisUnavailable
from ..index import Place, Position, Ranking
from ..sql_index import SqlIndex
from .generations import IndexGenerations
from .scripts import IndexGone
from .windows import IndexGeneration, RedisWindows

log = structlog.get_logger(__name__)

LEDGER_AT_ONCE = 4
LEDGER_WAITING = 64
"""Counts that run or wait; the next is refused."""
LEDGER_SECONDS = 0.9
"""Time that the ledger may be silent: with the deadline of a call to Redis before it, less than 2 s in all."""
T = TypeVar("T")


class FallbackIndex:
    """An Index. Raises LaurelsError(OVERLOADED) when neither Redis nor the ledger answers in time."""

    def __init__(self, windows: RedisWindows, ledger: SqlIndex, generations: IndexGenerations) -> None:
        self._windows = windows
        self._ledger = ledger
        self._generations = generations
        self._counts = Bulkhead(LEDGER_AT_ONCE, admitted=LEDGER_WAITING, refusal=_too_many)
        self._positions: SingleFlight[int, Position] = SingleFlight()

    async def position(self, window: Window) -> Position:
        """Return how far the window is. Concurrent callers share one read: most board reads need no other."""
        return await self._positions.run_fresh(window.id, lambda: self._position(window))

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

    async def page(self, window: Window, first: int, size: int) -> Ranking:
        return await self._ask_or_count(
            window,
            lambda generation: self._windows.page(generation, first, size),
            lambda: self._ranked(self._ledger.page(window, first, size)),
        )

    async def after(self, window: Window, key: bytes, size: int) -> Ranking:
        return await self._ask_or_count(
            window,
            lambda generation: self._windows.after(generation, key, size),
            lambda: self._ranked(self._ledger.after(window, key, size)),
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
        """Return `places` counted in the ledger, without Redis, within `most` seconds. Raises LaurelsError."""
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
            except RedisUnavailable as error:
                log.debug("Redis did not answer a read", reason=str(error))
        return await self._count_in_ledger(count)

    async def _count_in_ledger(self, count: Callable[[], Awaitable[T]], most: float = ROUTE_SECONDS) -> T:
        async with within(self._ledger.pool, silent=LEDGER_SECONDS, most=most), self._counts:
            telemetry.INDEX_FALLBACK_READS.inc()
            return await count()

    async def _ask_copy(self, window: Window, ask: Callable[[IndexGeneration], Awaitable[T]]) -> T:
        """Read the copy, never the ledger, to compare the two. Raises LaurelsError(OVERLOADED)."""
        generation = self._generations.readable(window)
        if generation is None:
            raise _rebuilding()
        try:
            return await ask(generation)
        except IndexGone as gone:
            self._generations.invalidate(generation)
            raise _rebuilding() from gone
        except RedisUnavailable as error:
            raise _rebuilding() from error

    async def _ranked(self, work: Awaitable[Ranking]) -> Ranking:
        return msgspec.structs.replace(await work, rank_state="rebuilding")


def _too_many() -> LaurelsError:
    return LaurelsError(
        Code.OVERLOADED,
        "Too many ranks are being counted in the ledger. Try again.",
        retry_after=1,
    )


def _rebuilding() -> LaurelsError:
    return LaurelsError(Code.OVERLOADED, "The index in Redis is unavailable or being built.", retry_after=5)
