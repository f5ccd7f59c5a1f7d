"""The ledger without the service: the statements of `commit_batch`, replayed over bare asyncpg.

A recorder judges the product's own batches without writing them, and keeps every statement with its arguments. The
replay sends the same arrays over as many connections as the service has lanes: no HTTP, no rules, no index. Only the
versions of the users are built, because they must be the ones just read. The floor below that is PostgreSQL's own
cost of the rows: COPY, and one UPDATE that adds them up.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from laurels.config import Settings
from laurels.domain.actions import Submission
from laurels.domain.detectors import DetectorEngine
from laurels.ledger.catalogue.catalogue import Catalogue
from laurels.ledger.db import pool as ledger_pool
from laurels.ledger.db.pool import Pool, plan_by_index
from laurels.ledger.db.pool import close as close_pool
from laurels.ledger.write.batch import commit_batch
from laurels.ledger.write.user_locks import UserLocks

from ..stage import FIRST_PLAYER

Tape = list[tuple[str, tuple[Any, ...]]]
"""The reading and the writing statement of one batch, each with its arguments."""

LANES = Settings().lanes
USERS = 3
"""Place of the users' rows among the arguments of write_batch."""
POINTS = 10
"""The worth of a lesson."""
COLUMNS = (
    *("user_id", "action_type_id", "action_identifier", "score_earned", "new_score", "fingerprint", "batch_id"),
    *("completed_at", "created_at"),
)
_ADD_UP = """
WITH sums AS (SELECT * FROM unnest($1::bigint[], $2::bigint[]) AS s (user_id, n)),
new_standings AS (
    UPDATE standings t
    SET score = score + n * $3, sort_score = ~(score + n * $3), version = version + 1, reached_at = now()
    FROM sums WHERE t.user_id = sums.user_id),
new_progress AS (
    UPDATE user_action_counters t SET total_count = total_count + n, day_count = day_count + n, last_at = now()
    FROM sums WHERE t.user_id = sums.user_id AND t.action_type_id = $4)
UPDATE users t SET current_score = current_score + n * $3 FROM sums WHERE t.id = sums.user_id"""


class _Recorder:
    """A substitute for a connection that writes nothing."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.tape: Tape = []

    def is_closed(self) -> bool:
        return bool(self._connection.is_closed())

    def is_in_transaction(self) -> bool:
        return False

    async def fetchrow(self, sql: str, *arguments: Any) -> Any:
        self.tape.append((sql, arguments))
        return await self._connection.fetchrow(sql, *arguments)

    async def execute(self, sql: str, *arguments: Any) -> str:
        self.tape.append((sql, arguments))
        return "INSERT 0 1"


class BareLedger:
    """A database that is written only by replaying. `players` take turns, as with the generators."""

    def __init__(self, pool: Pool, players: int) -> None:
        self._pool = pool
        self._catalogue = Catalogue(pool)
        self._users = itertools.cycle(range(FIRST_PLAYER, FIRST_PLAYER + players))
        self._numbers = itertools.count()

    @classmethod
    async def open(cls, url: str, players: int) -> BareLedger:
        bare = cls(await ledger_pool.connect(url, size=max(LANES, 6)), players)
        await bare._catalogue.refresh()
        return bare

    async def close(self) -> None:
        await close_pool(self._pool)

    async def actions_per_second(self, *, batch: int, per_user: int, actions: int) -> float:
        """Commit about so many actions, `batch` at a time, `per_user` for each user of a batch; return the rate."""
        count = max(LANES, actions // batch)
        tapes = [await self._record(batch, per_user) for _ in range(count)]
        connections = [await self._pool.acquire() for _ in range(LANES)]
        try:
            for connection in connections:
                await plan_by_index(connection)
            shared, turns = iter(tapes), UserLocks()
            started = time.perf_counter()
            await asyncio.gather(*(_play(connection, shared, turns) for connection in connections))
            return count * batch / (time.perf_counter() - started)
        finally:
            for connection in connections:
                await self._pool.release(connection)

    async def _record(self, batch: int, per_user: int) -> Tape:
        async with self._pool.acquire() as connection:
            await plan_by_index(connection)  # plans are cached and used when this connection replays
            recorder = _Recorder(connection)
            await commit_batch(
                recorder, self._catalogue, uuid4(), self._submissions(batch, per_user), DetectorEngine([])
            )
        return recorder.tape

    def _submissions(self, batch: int, per_user: int) -> Sequence[Submission]:
        users = [next(self._users) for _ in range(-(-batch // per_user))]
        return [Submission(users[n // per_user], "lesson", f"bare-{next(self._numbers)}") for n in range(batch)]

    async def copied_per_second(self, *, batch: int, per_user: int, actions: int) -> float:
        """Return the rate of the same rows by COPY and one aggregate UPDATE per batch: nothing is read or judged."""
        count = max(LANES, actions // batch)
        batches = iter([self._submissions(batch, per_user) for _ in range(count)])
        connections = [await self._pool.acquire() for _ in range(LANES)]
        try:
            kind = await connections[0].fetchval("SELECT id FROM action_types WHERE name = 'lesson'")
            started = time.perf_counter()
            await asyncio.gather(*(_copy(connection, kind, batches) for connection in connections))
            return count * batch / (time.perf_counter() - started)
        finally:
            for connection in connections:
                await self._pool.release(connection)


async def _copy(connection: Any, kind: int, batches: Iterator[Sequence[Submission]]) -> None:
    for batch in batches:
        now = datetime.now(UTC)
        rows = [(item.user_id, kind, item.identifier, POINTS, 0, 0, 0, now, now) for item in batch]
        users = sorted(Counter(item.user_id for item in batch).items())
        async with connection.transaction():
            await connection.copy_records_to_table("actions", records=rows, columns=COLUMNS)
            await connection.execute(_ADD_UP, [user for user, _ in users], [n for _, n in users], POINTS, kind)


async def _play(connection: Any, tapes: Iterator[Tape], turns: UserLocks) -> None:
    """Replay tapes; those that share a user run one after the other, as the service's batches do."""
    for (load, asked), (write, arguments) in tapes:
        users = arguments[USERS]
        async with turns.hold({user.id for user in users}):
            loaded = await connection.fetchrow(load, *asked)
            versions = dict(zip(loaded["user_ids"], loaded["user_versions"], strict=True))
            current = list(arguments)
            current[USERS] = [user._replace(version=versions[user.id]) for user in users]
            if await connection.execute(write, *current) == "INSERT 0 0":
                raise RuntimeError("another writer changed a user of this ledger")
