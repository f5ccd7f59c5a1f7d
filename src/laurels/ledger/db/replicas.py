"""Route reads to a replica that has caught up with the present, else to the primary.

A read must never return less than any reader has seen already. So every read first learns the primary's position (its
flushed LSN) and goes to a replica that has replayed as much. One query for the position serves all reads that wait for
it, so the primary's share of a read is a fraction of a trivial query, and clients need no token (ADR 16).

A replica that fails or lags is marked down at once, and up again by a probe every half second when it has caught up.
While the primary is unavailable, reads go to the replica that is furthest ahead, unless it is behind the last position
that this node has seen.
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
"""How long a server may take to report its position."""
CATCH_UP_SECONDS = 0.05
"""How long a read waits for a replica that is a little behind."""
PAUSE = 0.002
"""Seconds between two probes of a replica that is a little behind."""
CHOOSE_SECONDS = 0.4
"""How long a read waits for the choice of a replica."""
READ_SECONDS = 0.5
"""How long a replica may take to answer before the primary is asked instead."""
PRIMARY_SECONDS = 1.0
"""How long the primary may be silent then: all waits for silent servers together stay under two seconds."""
HEAVY_SECONDS = 1.4
"""How long a replica may take for a statement that counts a whole window."""
PROBE_SECONDS = 0.5

_AWAY = (
    TimeoutError,
    *UNAVAILABLE,
    asyncpg.ObjectNotInPrerequisiteStateError,  # raised by a server in recovery that is asked as a primary
    asyncpg.InvalidSQLStatementNameError,  # a pooler gave the session, with its prepared statements, to another client
    asyncpg.DuplicatePreparedStatementError,
)
_FLUSHED = "SELECT (pg_current_wal_flush_lsn() - '0/0')::bigint"
_REPLAYED = "SELECT CASE WHEN pg_is_in_recovery() THEN (pg_last_wal_replay_lsn() - '0/0')::bigint END"


class Probe:
    """A connection kept for one short query; after a failure the next query opens another."""

    def __init__(self, pool: Pool, question: str) -> None:
        self._pool = pool
        self._question = question
        self._connection: Connection | None = None
        self._one_at_a_time = asyncio.Lock()

    async def query(self) -> int | None:
        """Return the answer. Raises one of _AWAY."""
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
    """`name` is host:port. `down_reason` is None while it serves."""

    name: str
    pool: Pool
    probe: Probe
    down_reason: str | None = "not probed yet"
    replayed: int = 0

    async def poll_lsn(self) -> int:
        """Return the LSN that it has replayed. Raises one of _AWAY."""
        answer = await self.probe.query()
        if answer is None:
            raise unavailable_replica()
        self.replayed = answer
        return answer

    def mark_down(self, reason: str) -> None:
        if self.down_reason is None:
            log.warning("replica marked down", replica=self.name, reason=reason)
        self.down_reason = reason
        telemetry.BREAKER_STATE.labels(f"replica {self.name}").set(2)

    def mark_up(self) -> None:
        if self.down_reason is not None:
            log.info("replica marked up", replica=self.name)
        self.down_reason = None
        telemetry.BREAKER_STATE.labels(f"replica {self.name}").set(0)


def unavailable_replica() -> asyncpg.CannotConnectNowError:
    """Return the error for a server that is not in recovery: it follows no primary, and may hold another history."""
    return asyncpg.CannotConnectNowError("it is not a replica")


async def replica(url: str, *, size: int) -> Replica:
    """Return a replica, which may be unavailable now. Raises DatabaseUnusable for an address that can't be parsed."""
    pool = await lazy_pool(url, size=size + 1)
    parts = urlsplit(url)
    name = f"{parts.hostname or 'local'}:{parts.port or 5432}"
    return Replica(name, pool, Probe(pool, _REPLAYED))


@dataclass(slots=True)
class Reads:
    """Answers reads; without replicas, from the primary. With replicas, start `run()` in a task; `close()` it last."""

    primary: Pool
    replicas: Sequence[Replica] = ()
    _primary_probe: Probe = field(init=False)
    _primary_lsn: int = 0
    _choices: SingleFlight[None, Replica | None] = field(default_factory=SingleFlight)

    def __post_init__(self) -> None:
        self._primary_probe = Probe(self.primary, _FLUSHED)

    async def fetch(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """Return rows as of this call or later. Only for statements that write nothing: they may run twice.

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
        """`fetch` for a long statement: a replica too slow for it is not marked down, and no other server is asked."""
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
        """Wait in the queue of reads and then for the answer, as long as the primary answers any caller."""
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
        """Return the replicas that are down, and why."""
        return [f"replica {one.name}: {one.down_reason}" for one in self.replicas if one.down_reason is not None]

    async def run(self) -> None:
        """Probe the replicas until cancelled."""
        await self._probe_all()
        await run_periodically(PROBE_SECONDS, self._probe_all)

    async def close(self) -> None:
        """Close the replicas after the last read. A connection being opened is in no pool yet, so probes end first."""
        await self._choices.close()
        for probe in (self._primary_probe, *(one.probe for one in self.replicas)):
            await probe.close()
        for one in self.replicas:
            await close(one.pool)

    async def _probe_all(self) -> None:
        """Mark up the replicas that have caught up, and measure how far behind each one is."""
        try:
            self._primary_lsn = await self._primary_probe.query() or self._primary_lsn
        except QUERY_FAILURES as error:
            log.warning("the primary does not report its position", reason=_words(error))
        await asyncio.gather(*(self._probe(one, self._primary_lsn) for one in self.replicas))

    async def _probe(self, one: Replica, floor: int) -> None:
        try:
            behind = floor - await one.poll_lsn()
        except QUERY_FAILURES as error:
            one.mark_down(_words(error))
            return
        telemetry.REPLICA_LAG.labels(one.name).set(max(0, behind))
        if one.down_reason is not None and behind <= 0:
            one.mark_up()

    async def _caught_up(self) -> Replica | None:
        """Return a replica that holds everything committed before this call, or None."""
        if all(one.down_reason is not None for one in self.replicas):
            return None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CHOOSE_SECONDS):
                return await self._choices.run_fresh(None, self._choose)
        return None

    async def _choose(self) -> Replica | None:
        serving = [one for one in self.replicas if one.down_reason is None]
        try:
            self._primary_lsn = await self._primary_probe.query() or 0
        except QUERY_FAILURES:
            return await self._furthest(serving)
        if not serving:
            return None
        one = random.choice(serving)  # noqa: S311  spreads load
        return one if await _reach(one, self._primary_lsn) else None

    async def _furthest(self, serving: Sequence[Replica]) -> Replica | None:
        """Return the replica that is furthest ahead, unless it is behind the primary's last known position."""
        positions = await asyncio.gather(*(one.poll_lsn() for one in serving), return_exceptions=True)
        far = [(lsn, one) for one, lsn in zip(serving, positions, strict=True) if isinstance(lsn, int)]
        lsn, one = max(far, key=lambda found: found[0], default=(0, None))
        return one if lsn >= self._primary_lsn else None


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
    """Return rows of a replica. Raises one of _AWAY."""
    async with asyncio.timeout(seconds):
        rows = await _fetch(pool, statement, arguments)
    telemetry.READS.labels("replica").inc()
    return rows


async def _fetch(pool: Pool, statement: str, arguments: Sequence[Any]) -> list[asyncpg.Record]:
    """Fetch on a pooled connection; close it when the caller gives up."""
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
