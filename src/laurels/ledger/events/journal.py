"""Commits of other processes that this one has not seen.

`id > last_seen` would lose a row that commits after a later one was seen, so the journal is read by transaction
snapshot: every visible row whose transaction id is not below the oldest one still running at the last read. That
repeats some rows; their ids are remembered until the horizon passes them, and applying one twice is harmless.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from ...concurrency.bounded_dict import BoundedDict
from ..db.pool import Connection, Pool, acquire_within
from ..db.trimming import AT_ONCE, delete_in_steps

_HORIZON = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text"
_READ = """
SELECT h.xmin, j.id, j.kind, j.ids, j.node, extract(epoch FROM clock_timestamp() - j.created_at)::float8 AS age
FROM (SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xmin) h
LEFT JOIN journal j ON j.xid >= $1::text::xid8 AND j.node <> $2
ORDER BY j.id"""
_BY_ID = """
SELECT id, kind, ids, node, extract(epoch FROM clock_timestamp() - created_at)::float8 AS age
FROM journal WHERE id = ANY ($1::bigint[]) ORDER BY id"""
_WRITE = "INSERT INTO journal (node, kind, ids) VALUES ($1, $2, $3) RETURNING id"
# The oldest first and then by age: looking for old entries among all would read the whole day that is kept.
TRIM = """
DELETE FROM journal WHERE id = ANY (ARRAY(
    SELECT id FROM (SELECT id, created_at FROM journal ORDER BY id LIMIT $1) oldest
    WHERE created_at < now() - interval '1 day' AND id < (SELECT max(id) FROM journal)))"""
_TIMELINE = "SELECT left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)"
_LAST = "SELECT last_value FROM journal_id_seq"


DOUBT_SECONDS = 600.0
"""How long an own entry in doubt is looked for: longer than a failover takes to reveal what the old primary wrote."""
DOUBTFUL = 1_000
EVERY_NODE = UUID(int=0)
"""Node id of entries that every node must apply, also the one that wrote them."""
WAITING = 1_000
"""Callers of `wake` waiting for a notification; beyond it the first are dropped without one."""


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One commit of another process.

    `kind`: standings or users (ids are user ids), catalogue, snapshot, sessions, barrier. `age` in seconds.
    `needs_every_node`: every node must apply it to the index, because the one that committed it does not.
    """

    id: int
    kind: str
    ids: list[int]
    age: float
    needs_every_node: bool


class Journal:
    """Read the journal for `node`, without its own commits."""

    def __init__(self, pool: Pool, node: UUID) -> None:
        self._pool = pool
        self.node = node
        self._horizon: str | None = None
        self._seen: set[int] = set()
        self._doubtful: BoundedDict[int, float] = BoundedDict(DOUBTFUL)

    def expect(self, entry_id: int) -> None:
        """Return this entry too although it is the node's own: the reply to its COMMIT was lost.

        It is looked up by its id: it may have committed before the last read, or not yet.
        """
        self._doubtful.put(entry_id, time.monotonic() + DOUBT_SECONDS)

    @property
    def horizon(self) -> str | None:
        """Every commit of transactions older than this was read, at the latest by the last read."""
        return self._horizon

    async def start(self, since: str | None = None) -> int:
        """Start here, or at an earlier horizon: everything committed from then on will be read.

        Returns the last id assigned.
        """
        async with acquire_within(self._pool) as connection:
            self._horizon = since or await connection.fetchval(_HORIZON)
            return int(await connection.fetchval(_LAST))

    async def read(self) -> Sequence[JournalEntry]:
        """Return what others committed since the last read."""
        async with acquire_within(self._pool) as connection:
            rows = await connection.fetch(_READ, self._horizon, self.node)
            own = await connection.fetch(_BY_ID, list(self._doubtful)) if self._doubtful else []
        entries = [_entry(row) for row in rows if row["id"] is not None]
        news = [entry for entry in entries if entry.id not in self._seen]
        self._seen = {entry.id for entry in entries}
        self._horizon = rows[0]["xmin"]
        return [*news, *self._found(own)]

    def _found(self, rows: Sequence[asyncpg.Record]) -> list[JournalEntry]:
        """Return own entries in doubt that have appeared; give up those that never did."""
        for row in rows:
            del self._doubtful[row["id"]]
        now = time.monotonic()
        while self._doubtful and next(iter(self._doubtful.values())) < now:
            self._doubtful.popitem(last=False)
        return [_entry(row) for row in rows]

    async def trim(self, *, at_once: int = AT_ONCE) -> None:
        """Delete the entries that are older than a day."""
        await delete_in_steps(self._pool, TRIM, at_once=at_once)


def _entry(row: asyncpg.Record) -> JournalEntry:
    return JournalEntry(row["id"], row["kind"], row["ids"], row["age"], row["node"] == EVERY_NODE)


class JournalWakeup:
    """Wakes the reader of the journal, and notifies when it has read. Belongs to one event loop."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()
        self._waiting: deque[Callable[[], None]] = deque(maxlen=WAITING)

    def wake(self, then: Callable[[], None] | None = None) -> None:
        """Have the journal read now; `then` is called when everything committed by now was read and applied."""
        if then is not None:
            self._waiting.append(then)
        self._woken.set()

    async def wait(self, seconds: float) -> None:
        """Wait until the next wake-up, `seconds` at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()

    @contextlib.contextmanager
    def answered(self) -> Iterator[None]:
        """Wrap one read: at its end, notify callers of `wake` from before it. If it fails, they wait for the next."""
        self._woken.clear()
        waiting = len(self._waiting)
        yield
        for _ in range(min(waiting, len(self._waiting))):
            self._waiting.popleft()()


async def announce(connection: Connection, node: UUID, kind: str, ids: Sequence[int]) -> int:
    """Journal a change inside the caller's transaction and return the id of the entry.

    `node` does not read it: a node that names itself must apply its own change. All nodes read entries of EVERY_NODE.
    """
    return int(await connection.fetchval(_WRITE, node, kind, list(ids)))


async def announce_standings(pool: Pool, user_ids: Sequence[int]) -> None:
    """Have every node apply the stored standings of these users to the index."""
    async with acquire_within(pool) as connection:
        await announce(connection, EVERY_NODE, "standings", user_ids)


async def timeline(pool: Pool) -> int:
    """Return the timeline that the primary writes: a new one after every failover and every restore."""
    async with acquire_within(pool) as connection:
        return int(await connection.fetchval(_TIMELINE), 16)
