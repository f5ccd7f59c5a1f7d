"""What other processes committed and this one has not seen.

`id > last_seen` would lose a row that commits after a later one was seen, so the journal is read
by transaction snapshot: every visible row whose transaction id is not below the oldest one still
running at the last look. That repeats some rows; their ids are remembered until the horizon
passes them, and applying one twice would change nothing anyway.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from .pool import Connection, Pool, acquire, prompt

_HORIZON = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text"
_READ = """
SELECT h.xmin, j.id, j.kind, j.ids, j.node, extract(epoch FROM clock_timestamp() - j.created_at)::float8 AS age
FROM (SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xmin) h
LEFT JOIN journal j ON j.xid >= $1::text::xid8 AND j.node <> $2
ORDER BY j.id"""
_WRITE = "INSERT INTO journal (node, kind, ids) VALUES ($1, $2, $3) RETURNING id"
_TRIM = """
DELETE FROM journal WHERE id IN (
    SELECT id FROM journal WHERE created_at < now() - interval '1 day'
    AND id < (SELECT max(id) FROM journal) ORDER BY id LIMIT $1)"""
_TIMELINE = "SELECT left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)"
_LAST = "SELECT last_value FROM journal_id_seq"


NOBODY = UUID(int=0)
"""Announces what every node must take, also the one that wrote it."""
RINGS = 1_000
"""Who rang and was not told yet; of more, the first are not told."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One foreign commit. `kind`: standings or users (ids are user ids), catalogue, snapshot. `age` in seconds.

    `is_nobodys`: no node will bring it to the index by itself.
    """

    id: int
    kind: str
    ids: list[int]
    age: float
    is_nobodys: bool


class Journal:
    """A reader of the journal on behalf of `node`, whose own commits it leaves out."""

    def __init__(self, pool: Pool, node: UUID) -> None:
        self._pool = pool
        self.node = node
        self._horizon: str | None = None
        self._seen: set[int] = set()

    @property
    def horizon(self) -> str | None:
        """Every commit of an older transaction was read, at the latest by the last look."""
        return self._horizon

    async def start(self, since: str | None = None) -> int:
        """Start here, or at an earlier horizon: everything committed from then on will be read.

        Returns the last id given out.
        """
        async with prompt(self._pool) as connection:
            self._horizon = since or await connection.fetchval(_HORIZON)
            return int(await connection.fetchval(_LAST))

    async def read(self) -> Sequence[Entry]:
        """What others committed since the last look."""
        async with prompt(self._pool) as connection:
            rows = await connection.fetch(_READ, self._horizon, self.node)
        entries = [
            Entry(r["id"], r["kind"], r["ids"], r["age"], r["node"] == NOBODY) for r in rows if r["id"] is not None
        ]
        news = [entry for entry in entries if entry.id not in self._seen]
        self._seen = {entry.id for entry in entries}
        self._horizon = rows[0]["xmin"]
        return news

    async def trim(self, limit: int = 10_000) -> None:
        """Delete up to `limit` entries that are older than a day."""
        async with acquire(self._pool) as connection:
            await connection.execute(_TRIM, limit)


class Bell:
    """Has the journal read now, and tells when that was done. Belongs to one event loop."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self._waiting: deque[Callable[[], None]] = deque(maxlen=RINGS)

    def ring(self, then: Callable[[], None] | None = None) -> None:
        """`then` is called when everything that is committed by now was read and taken."""
        if then is not None:
            self._waiting.append(then)
        self._rung.set()

    async def rung(self, seconds: float) -> None:
        """Until somebody rings, `seconds` at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._rung.wait()

    @contextlib.contextmanager
    def answered(self) -> Iterator[None]:
        """One look: who rang before it is told at its end. Who waits when it fails waits for the next."""
        self._rung.clear()
        waiting = len(self._waiting)
        yield
        for _ in range(min(waiting, len(self._waiting))):
            self._waiting.popleft()()


async def announce(connection: Connection, node: UUID, kind: str, ids: Sequence[int]) -> int:
    """Journal a change inside the caller's transaction; the id of the entry.

    `node` does not read it: whoever names itself has to take its own change. What NOBODY announces, all read.
    """
    return int(await connection.fetchval(_WRITE, node, kind, list(ids)))


async def timeline(pool: Pool) -> int:
    """The timeline that the primary writes: another one after every failover and every restore."""
    async with prompt(pool) as connection:
        return int(await connection.fetchval(_TIMELINE), 16)
