"""Where reads go: to a replica that has caught up with this very moment, else to the primary.

A reader must never see less than was already shown to anybody. So every read first learns how far the
primary has come (its flushed LSN) and is sent to a replica that has replayed as much. One such question
serves all reads that were waiting when it was asked, so the primary's share of a read is a fraction of a
trivial query, and no client has to carry a token (ADR 16).

A replica that fails, or lags for longer than a moment, is left alone at once; a look every half second
takes it back when it has caught up. While the primary is away, reads go to the replica that is furthest ahead,
if that is not behind what this node has last known.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import structlog

from ... import telemetry
from ...concurrency.periodic import run_periodically
from ...concurrency.single_flight import SingleFlight
from .liveness import ANSWER_SECONDS, liveness, overloaded, unavailable, within
from .pool import QUERY_FAILURES, UNAVAILABLE, Connection, Pool, close, drop, is_closed, lazy_pool, map_errors, release

log = structlog.get_logger(__name__)

ASK_SECONDS = 0.25
"""How long a server may take to say how far it is."""
CATCH_UP_SECONDS = 0.05
"""How long a read waits for a replica that is a little behind."""
PAUSE = 0.002
"""Between two questions to a replica that is a little behind."""
ROUND_SECONDS = 0.4
"""How long a read waits to learn which replica it may ask."""
READ_SECONDS = 0.5
"""How long a replica may take to answer, before the primary is asked instead."""
PRIMARY_SECONDS = 1.0
"""How long the primary may say nothing then: all waits for silent servers together stay under two seconds."""
HEAVY_SECONDS = 1.4
"""How long a replica may take for what counts a whole window."""
LOOK_SECONDS = 0.5

_AWAY = (
    TimeoutError,
    *UNAVAILABLE,
    asyncpg.ObjectNotInPrerequisiteStateError,  # a server in recovery says so when it is asked as a primary
    asyncpg.InvalidSQLStatementNameError,  # a pooler between us gave our session, and the statement in it, to another
    asyncpg.DuplicatePreparedStatementError,
)
_FLUSHED = "SELECT (pg_current_wal_flush_lsn() - '0/0')::bigint"
_REPLAYED = "SELECT CASE WHEN pg_is_in_recovery() THEN (pg_last_wal_replay_lsn() - '0/0')::bigint END"


class Probe:
    """One connection kept for short questions; made anew after a failure."""

    def __init__(self, pool: Pool, question: str) -> None:
        self._pool = pool
        self._question = question
        self._connection: Connection | None = None
        self._one_at_a_time = asyncio.Lock()

    async def query(self) -> int | None:
        """The answer, or one of _AWAY."""
        async with self._one_at_a_time:
            try:
                async with asyncio.timeout(ASK_SECONDS):
                    if self._connection is None or is_closed(self._connection):
                        self._connection = await self._pool.acquire()
                    answer: int | None = await self._connection.fetchval(self._question)
                    return answer
            except BaseException:
                await self.close()
                raise

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            drop(connection)
            await release(self._pool, connection)


@dataclass(eq=False, slots=True)
class Replica:
    """`name` is host:port. `trouble`: why it is left alone, in words; None while it serves."""

    name: str
    pool: Pool
    probe: Probe
    down_reason: str | None = "not looked at yet"
    replayed: int = 0

    async def poll_lsn(self) -> int:
        """How far it has replayed. Raises one of _AWAY."""
        answer = await self.probe.query()
        if answer is None:
            raise unavailable_replica()
        self.replayed = answer
        return answer

    def mark_down(self, reason: str) -> None:
        if self.down_reason is None:
            log.warning("replica left alone", replica=self.name, reason=reason)
        self.down_reason = reason
        telemetry.BREAKER_STATE.labels(f"replica {self.name}").set(2)

    def mark_up(self) -> None:
        if self.down_reason is not None:
            log.info("replica serves", replica=self.name)
        self.down_reason = None
        telemetry.BREAKER_STATE.labels(f"replica {self.name}").set(0)


def unavailable_replica() -> asyncpg.CannotConnectNowError:
    """A server that is not in recovery follows nobody: what it holds may be another history."""
    return asyncpg.CannotConnectNowError("it is not a replica")


async def replica(url: str, *, size: int) -> Replica:
    """A replica that may be away now. Raises DatabaseUnusable for an address that can't be read."""
    pool = await lazy_pool(url, size=size + 1)
    parts = urlsplit(url)
    name = f"{parts.hostname or 'local'}:{parts.port or 5432}"
    return Replica(name, pool, Probe(pool, _REPLAYED))


@dataclass(slots=True)
class Reads:
    """Answers reads; without replicas, from the primary. Run `run()` in a task if there are any, `close()` after it."""

    primary: Pool
    replicas: Sequence[Replica] = ()
    _line: Probe = field(init=False)
    _known: int = 0
    _rounds: SingleFlight[None, Replica | None] = field(default_factory=SingleFlight)

    def __post_init__(self) -> None:
        self._line = Probe(self.primary, _FLUSHED)

    async def fetch(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """Rows as of no earlier than this call. Only for statements that write nothing: they may run twice.

        Raises LaurelsError: DATABASE_UNAVAILABLE within two seconds when no server answers, else OVERLOADED.
        """
        chosen = await self._caught_up() if self.replicas else None
        if chosen is not None:
            try:
                return await _from_replica(chosen.pool, READ_SECONDS, statement, arguments)
            except _AWAY as error:
                chosen.mark_down(_words(error))
        return await self._from_primary(statement, arguments)

    async def fetch_heavy(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """`fetch` for what may take long: who is too slow for it is not left alone, and nobody else is asked then."""
        chosen = await self._caught_up() if self.replicas else None
        if chosen is not None:
            try:
                return await _from_replica(chosen.pool, HEAVY_SECONDS, statement, arguments)
            except TimeoutError as error:
                raise overloaded() from error
            except _AWAY as error:
                chosen.mark_down(_words(error))
        return await self._from_primary(statement, arguments)

    async def _from_primary(self, statement: str, arguments: Sequence[Any]) -> list[asyncpg.Record]:
        """Wait in the queue of reads, then for the answer, as long as the primary answers anybody."""
        server, silent = liveness(self.primary), PRIMARY_SECONDS if self.replicas else ANSWER_SECONDS
        try:
            with map_errors():
                async with within(self.primary, silent=silent), server.reads:
                    rows = await _fetch(self.primary, statement, arguments)
        except asyncpg.ObjectNotInPrerequisiteStateError as error:
            raise unavailable() from error
        telemetry.READS.labels("primary").inc()
        return rows

    async def fetchrow(self, statement: str, *arguments: Any) -> asyncpg.Record | None:
        rows = await self.fetch(statement, *arguments)
        return rows[0] if rows else None

    def degraded(self) -> list[str]:
        """Replicas that are left alone, and why."""
        return [f"replica {one.name}: {one.down_reason}" for one in self.replicas if one.down_reason is not None]

    async def run(self) -> None:
        """Look after the replicas until cancelled."""
        await self._look()
        await run_periodically(LOOK_SECONDS, self._look)

    async def close(self) -> None:
        """When nobody reads any more. A connection that is being made belongs to no pool yet: its maker ends first."""
        await self._rounds.close()
        for line in (self._line, *(one.probe for one in self.replicas)):
            await line.close()
        for one in self.replicas:
            await close(one.pool)

    async def _look(self) -> None:
        """Take back who has caught up; measure how far behind each is."""
        try:
            self._known = await self._line.query() or self._known
        except QUERY_FAILURES as error:
            log.warning("the primary does not say how far it is", reason=_words(error))
        await asyncio.gather(*(self._look_at(one, self._known) for one in self.replicas))

    async def _look_at(self, one: Replica, floor: int) -> None:
        try:
            behind = floor - await one.poll_lsn()
        except QUERY_FAILURES as error:
            one.mark_down(_words(error))
            return
        telemetry.REPLICA_LAG.labels(one.name).set(max(0, behind))
        if one.down_reason is not None and behind <= 0:
            one.mark_up()

    async def _caught_up(self) -> Replica | None:
        """A replica that holds all that was committed before this call; None: there is none."""
        if all(one.down_reason is not None for one in self.replicas):
            return None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ROUND_SECONDS):
                return await self._rounds.run_fresh(None, self._round)
        return None

    async def _round(self) -> Replica | None:
        serving = [one for one in self.replicas if one.down_reason is None]
        try:
            self._known = await self._line.query() or 0
        except QUERY_FAILURES:
            return await self._furthest(serving)
        if not serving:
            return None
        one = random.choice(serving)  # noqa: S311  spreads load
        return one if await _reach(one, self._known) else None

    async def _furthest(self, serving: Sequence[Replica]) -> Replica | None:
        """The primary can't be asked: whoever has replayed most, if not less than this node has known."""
        looks = await asyncio.gather(*(one.poll_lsn() for one in serving), return_exceptions=True)
        far = [(look, one) for one, look in zip(serving, looks, strict=True) if isinstance(look, int)]
        look, one = max(far, key=lambda found: found[0], default=(0, None))
        return one if look >= self._known else None


async def _reach(one: Replica, floor: int) -> bool:
    loop = asyncio.get_running_loop()
    until = loop.time() + CATCH_UP_SECONDS
    try:
        while await one.poll_lsn() < floor:
            if loop.time() > until:
                one.mark_down("it lags behind the primary")
                return False
            await asyncio.sleep(PAUSE)
    except QUERY_FAILURES as error:
        one.mark_down(_words(error))
        return False
    return True


async def _from_replica(pool: Pool, seconds: float, statement: str, arguments: Sequence[Any]) -> list[asyncpg.Record]:
    """Raises one of _AWAY."""
    async with asyncio.timeout(seconds):
        rows = await _fetch(pool, statement, arguments)
    telemetry.READS.labels("replica").inc()
    return rows


async def _fetch(pool: Pool, statement: str, arguments: Sequence[Any]) -> list[asyncpg.Record]:
    """A connection that is not waited for any longer is closed."""
    connection: Connection | None = None
    try:
        connection = await pool.acquire()
        rows: list[asyncpg.Record] = await connection.fetch(statement, *arguments)
    except BaseException:
        if connection is not None:
            drop(connection)
            await release(pool, connection)
        raise
    await release(pool, connection)
    return rows


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
