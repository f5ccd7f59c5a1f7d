"""Bound how long callers wait for the primary, and tell a slow database from an unavailable one (ADR 18).

A primary that sends nothing for ANSWER_SECONDS is unavailable, and its callers get `database_unavailable`. While it
answers any of them it is busy: callers wait in a bounded queue for as long as their route may take, and then get
`overloaded`. An answer is noted when its connection is released; the journal alone is read twice a second.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import asyncpg

from ...concurrency.bulkhead import Bulkhead
from ...domain.errors import Code, LaurelsError

ANSWER_SECONDS = 1.8
"""How long a caller waits for a silent server."""
ROUTE_SECONDS = 5.0
"""How long a request may take in total while the server answers others."""
READS_WAITING = 1_000
"""Reads of the primary that run or wait; more are refused at once."""
KEPT_FREE = 1
"""Connections that reads leave to the journal, beside those of the lanes: through it the server is heard."""


class ServerLiveness:
    """The time at which the server of one pool last answered. `reads` bounds the connections that reads use."""

    def __init__(self, size: int) -> None:
        self.heard_at = float("-inf")
        self._size = size
        self.leave_to_lanes(0)

    def leave_to_lanes(self, lanes: int) -> None:
        """Leave a connection to each lane, and bound reads to the rest. Call this before the first read."""
        self.reads = Bulkhead(max(2, self._size - lanes - KEPT_FREE), admitted=READS_WAITING, refusal=overloaded)

    def heard(self) -> None:
        self.heard_at = asyncio.get_running_loop().time()


_OF_POOLS: dict[asyncpg.Pool, ServerLiveness] = {}


def liveness(pool: asyncpg.Pool) -> ServerLiveness:
    """Return the liveness of a pool's server."""
    known = _OF_POOLS.get(pool)
    if known is None:
        known = _OF_POOLS[pool] = ServerLiveness(pool.get_max_size())
    return known


def forget(pool: asyncpg.Pool) -> None:
    _OF_POOLS.pop(pool, None)


class LivenessTimer:
    """Calls `end` after the server was silent for `silent` seconds, and after `most` seconds in any case.

    Silence counts from the start of the timer: a server that was not asked anything is not silent.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        end: Callable[[], None],
        *,
        silent: float = ANSWER_SECONDS,
        most: float = ROUTE_SECONDS,
    ) -> None:
        self._server = liveness(pool)
        self._end = end
        self._silent = silent
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._most = self._started + most
        self.ended = False
        self.overdue = False
        """Whether it ended although the server answered others in the meantime."""
        self._timer = self._loop.call_at(min(self._most, self._started + silent), self._look)

    def stop(self) -> None:
        self._timer.cancel()

    def refusal(self) -> LaurelsError:
        return overloaded() if self.overdue else unavailable()

    def _look(self) -> None:
        now, heard = self._loop.time(), max(self._server.heard_at, self._started)
        if now < self._most and now < heard + self._silent:
            self._timer = self._loop.call_at(min(self._most, heard + self._silent), self._look)
            return
        self.ended = True
        self.overdue = self._server.heard_at > self._started and now < heard + self._silent
        self._end()


@contextlib.asynccontextmanager
async def within(
    pool: asyncpg.Pool, *, silent: float = ANSWER_SECONDS, most: float = ROUTE_SECONDS
) -> AsyncIterator[None]:
    """Bound a wait for the server. Raises LaurelsError OVERLOADED (slow) or DATABASE_UNAVAILABLE (silent)."""
    limit = asyncio.timeout(None)
    timer = LivenessTimer(pool, lambda: limit.reschedule(asyncio.get_running_loop().time()), silent=silent, most=most)
    try:
        async with limit:
            yield
    except TimeoutError as error:
        if limit.expired():
            raise timer.refusal() from error
        raise
    finally:
        timer.stop()


def unavailable() -> LaurelsError:
    return LaurelsError(Code.DATABASE_UNAVAILABLE, "The ledger can't be reached now.", retry_after=1)


def overloaded() -> LaurelsError:
    return LaurelsError(Code.OVERLOADED, "The ledger is too busy to answer in time. Try again.", retry_after=2)
