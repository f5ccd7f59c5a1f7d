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
from ..domain.boards import Window
from ..domain.errors import Code, LaurelsError
from ..domain.standings import Standing
from ..ledger import index_lives
from ..ledger.index_lives import LifeRow
from ..ledger.pool import Pool
from ..ledger.silence import ROUTE_SECONDS, within
from ..shared import RedisAway
from ..shared.rounds import Rounds
from .index import Place, Position, Ranking
from .redis import Life, RedisWindows
from .scripts import IndexGone
from .sql import SqlIndex

log = structlog.get_logger(__name__)

LEDGER_AT_ONCE = 4
LEDGER_WAITING = 64
LEDGER_SECONDS = 0.9
"""How long the ledger may say nothing: with the deadline of a call to Redis before it, less than 2 s."""
T = TypeVar("T")


class Lives:
    """Which copy of each window this node believes in.

    `is_sure`: every commit that is old enough was seen to be in the copies, and none was lost since.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._rows: dict[int, LifeRow] = {}
        self._gone: set[str] = set()
        self._made: dict[str, Life] = {}
        self._one_look = asyncio.Lock()
        self._looks = 0
        self.losses = 0
        """How often something may not have reached the copies."""
        self.is_sure = False

    async def refresh(self) -> None:
        """Ask the ledger. Who asks while another asks takes that one's answer, if it began later."""
        looks = self._looks
        async with self._one_look:
            if self._looks > looks + 1:
                return
            self._rows = await index_lives.read(self._pool)
            self._looks += 1
            epochs = {row.epoch for row in self._rows.values()}
            self._gone &= epochs
            self._made = {epoch: life for epoch, life in self._made.items() if epoch in epochs}

    def row(self, window: Window) -> LifeRow | None:
        return self._rows.get(window.id)

    def writable(self, window: Window) -> Life | None:
        """The copy that takes changes, complete or not."""
        row = self._rows.get(window.id)
        if row is None or row.epoch in self._gone:
            return None
        life = self._made.get(row.epoch)
        if life is None or life.window is not window:  # the board may have a new name
            life = self._made[row.epoch] = Life(window, row.epoch)
        return life

    def readable(self, window: Window) -> Life | None:
        """The copy that may be asked."""
        row = self._rows.get(window.id)
        return self.writable(window) if self.is_sure and row is not None and row.ready else None

    def needs_building(self, window: Window) -> bool:
        row = self._rows.get(window.id)
        return row is None or not row.ready or row.epoch in self._gone

    def gone(self, life: Life) -> None:
        """Redis does not have this copy as it was built: never ask it again."""
        if life.epoch not in self._gone:
            self._gone.add(life.epoch)
            log.warning("an index must be built anew", board=life.window.board.slug, epoch=life.epoch)

    def lose(self, reason: str) -> None:
        """A change may not have reached the copies: count in the ledger until they are seen to be complete."""
        if self.is_sure:
            log.warning("ranks are counted in the ledger for now", reason=reason)
        self.is_sure = False
        self.losses += 1
        telemetry.INDEX_TRUSTED.set(0)

    def regain(self, losses: int) -> None:
        """The copies are complete, unless something was lost since `losses` was read."""
        if self.losses != losses:
            return
        if not self.is_sure:
            log.info("the shared index is complete")
        self.is_sure = True
        telemetry.INDEX_TRUSTED.set(1)


class SharedIndex:
    """Answers like any Index. Raises LaurelsError(OVERLOADED) when neither Redis nor the ledger can answer in time."""

    def __init__(self, windows: RedisWindows, ledger: SqlIndex, lives: Lives) -> None:
        self._windows = windows
        self._ledger = ledger
        self._lives = lives
        self._turns = asyncio.Semaphore(LEDGER_AT_ONCE)
        self._waiting = 0
        self._positions: Rounds[int, Position] = Rounds()

    async def position(self, window: Window) -> Position:
        """One question for all who wait: readers of a ready board ask for nothing else."""
        return await self._positions.answer(window.id, lambda: self._position(window))

    async def _position(self, window: Window) -> Position:
        return await self._answer(window, self._windows.position, lambda: self._ledger.position(window))

    async def top(self, window: Window, size: int) -> Ranking:
        return await self._answer(
            window, lambda life: self._windows.top(life, size), lambda: self._ranked(self._ledger.top(window, size))
        )

    async def around(self, window: Window, user_id: int, radius: int) -> Ranking:
        return await self._answer(
            window,
            lambda life: self._windows.around(life, user_id, radius),
            lambda: self._ranked(self._ledger.around(window, user_id, radius)),
        )

    async def places(self, window: Window, user_ids: Collection[int]) -> Ranking:
        return await self._answer(
            window, lambda life: self._windows.places(life, user_ids), lambda: self.counted(window, user_ids)
        )

    async def place_of(self, window: Window, user_id: int, standing: Standing) -> Place:
        return await self._answer(
            window,
            lambda life: self._windows.place_of(life, user_id, standing),
            lambda: self._ledger.place_of(window, user_id, standing),
        )

    async def counted(self, window: Window, user_ids: Collection[int], *, most: float = ROUTE_SECONDS) -> Ranking:
        """`places`, counted in the ledger without asking Redis, in `most` seconds. Raises LaurelsError."""
        return await self._in_turn(lambda: self._ranked(self._ledger.places(window, user_ids)), most)

    async def held(self, window: Window, user_ids: Sequence[int]) -> dict[int, Standing]:
        return await self._copy(window, lambda life: self._windows.held(life, user_ids))

    async def members(self, window: Window) -> AsyncIterator[dict[int, Standing]]:
        life = self._lives.readable(window)
        if life is None:
            raise _rebuilding()
        try:
            async for page in self._windows.members(life):
                yield page
        except (IndexGone, RedisAway) as error:
            raise _rebuilding() from error

    async def sample(self, window: Window, size: int) -> list[int]:
        return await self._copy(window, lambda life: self._windows.sample(life, size))

    async def count(self, window: Window) -> int:
        return await self._copy(window, self._windows.count)

    async def _answer(
        self, window: Window, ask: Callable[[Life], Awaitable[T]], count: Callable[[], Awaitable[T]]
    ) -> T:
        life = self._lives.readable(window)
        if life is not None:
            try:
                return await ask(life)
            except IndexGone:
                self._lives.gone(life)
            except RedisAway as away:
                log.debug("Redis did not answer a read", reason=str(away))
        return await self._in_turn(count)

    async def _in_turn(self, count: Callable[[], Awaitable[T]], most: float = ROUTE_SECONDS) -> T:
        if self._waiting >= LEDGER_WAITING:
            raise _too_many()
        self._waiting += 1
        try:
            async with within(self._ledger.pool, silent=LEDGER_SECONDS, most=most), self._turns:
                telemetry.RANKS_COUNTED.inc()
                return await count()
        finally:
            self._waiting -= 1

    async def _copy(self, window: Window, ask: Callable[[Life], Awaitable[T]]) -> T:
        """For comparing the copy with the ledger: no copy, no answer. Raises LaurelsError(OVERLOADED)."""
        life = self._lives.readable(window)
        if life is None:
            raise _rebuilding()
        try:
            return await ask(life)
        except IndexGone as gone:
            self._lives.gone(life)
            raise _rebuilding() from gone
        except RedisAway as away:
            raise _rebuilding() from away

    async def _ranked(self, work: Awaitable[Ranking]) -> Ranking:
        return msgspec.structs.replace(await work, rank_state="rebuilding")


def _too_many() -> LaurelsError:
    return LaurelsError(
        Code.OVERLOADED, "Ranks are counted in the ledger at present, and too many are asked for.", retry_after=1
    )


def _rebuilding() -> LaurelsError:
    return LaurelsError(Code.OVERLOADED, "The shared index is away or being built.", retry_after=5)
