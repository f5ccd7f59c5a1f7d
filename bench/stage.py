"""The stage of the benchmarks: PostgreSQL in a temporary folder, databases, users, real server processes.

Everything is created for a run and removed after it. fsync stays on.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import aiohttp
import asyncpg
from tests.support.polling import eventually
from tests.support.ports import free_port
from tests.support.redis import RedisServer
from tests.support.server import LaurelsServer

from laurels.ledger.accounts import bootstrap
from laurels.ledger.accounts.accounts import AccountRecord, Accounts
from laurels.ledger.db import migrations
from laurels.ledger.db import pool as ledger_pool
from laurels.ledger.db.pool import Pool
from laurels.ledger.db.pool import close as close_pool
from laurels.ledger.embedded.server import EmbeddedPostgres
from laurels.web.auth.access_tokens import AccessTokens, new_signing_key

TEMPLATE = "laurels_bench"
TOKEN_SECONDS = 86_400
HOST = "127.0.0.1"
START_SECONDS = 180.0
COMMON_PLAYERS = 200
FIRST_PLAYER = 1_000
"""Players' ids start here, so that they never collide with the first admin's."""

_USERS = """
INSERT INTO users (id, username, username_fold, username_skeleton, username_similar)
SELECT i, 'p-' || i, 'p-' || i, 'p-' || i, 'p-' || i FROM generate_series($1::bigint, $2::bigint) i"""
_STANDINGS = """
INSERT INTO standings (window_id, user_id, score, sort_score, reached_at, version)
SELECT w.id, i, s.score, ~s.score, timestamptz '2024-01-01 00:00+00' - i * interval '1 millisecond', 1
FROM generate_series($1::bigint, $2::bigint) i
CROSS JOIN LATERAL (SELECT i * 7919 % 100000 AS score) s
JOIN boards b ON b.is_default JOIN windows w ON w.board_id = b.id"""
"""Reached so long ago that only the all-time board covers it: no window of another period does."""
_ACTIONS = """
INSERT INTO actions (user_id, action_type_id, action_identifier, score_earned, new_score, fingerprint, batch_id,
                     completed_at, created_at)
SELECT i, t.id, 'old-' || n, CASE n WHEN 0 THEN s.score ELSE 0 END, s.score, 0, 0, r.reached, r.reached
FROM generate_series(0, $3::bigint - 1) n, generate_series($1::bigint, $2::bigint) i
CROSS JOIN LATERAL (SELECT i * 7919 % 100000 AS score) s
CROSS JOIN LATERAL (SELECT timestamptz '2024-01-01 00:00+00' - i * interval '1 millisecond' AS reached) r
JOIN action_types t ON t.name = 'lesson'"""
"""The first action of each user earned all points, the others none: the standings are the fold of these rows."""
_PROGRESS = """
INSERT INTO user_action_counters (user_id, action_type_id, total_count, day, day_count, last_at)
SELECT i, t.id, $3::bigint, date '2024-01-01', $3::bigint, timestamptz '2024-01-01 00:00+00'
FROM generate_series($1::bigint, $2::bigint) i JOIN action_types t ON t.name = 'lesson'"""
_CURRENT = "UPDATE users SET current_score = id * 7919 % 100000 WHERE id BETWEEN $1::bigint AND $2::bigint"
_WITHOUT_TRIGGERS = "SET session_replication_role = replica"
"""Skips foreign key checks for generated rows: a million checks would take most of the set-up."""


@dataclass(frozen=True, slots=True)
class Node:
    """A server with its database. `tokens` belong to distinct players, in id order from FIRST_PLAYER.

    `workers` are the addresses of each process's own metrics; `ready_after` is how long it took to start, in seconds.
    """

    url: str
    database_url: str
    pid: int
    tokens: list[str]
    workers: tuple[str, ...]
    ready_after: float


class Stage:
    """One PostgreSQL for a whole run. `folder` is for files of the questions.

    A `sparing` stage shares one node between all questions that need no special one, with at most COMMON_PLAYERS.
    """

    def __init__(self, folder: Path, postgres_url: str, *, sparing: bool = False) -> None:
        self.folder = folder
        self._url = postgres_url
        self._numbers = itertools.count(1)
        self._sparing = sparing
        self._common: Node | None = None
        self._ends = contextlib.ExitStack()

    async def database(self, *, players: int = 0, standings: int = 0, actions_each: int = 0) -> str:
        """Create a database with so many players, the first `standings` of them on the default board.

        With `actions_each` they have rows in the ledger that add up to their standings.
        """
        name = f"bench_{next(self._numbers)}"
        await _execute(self._url, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        url = _named(self._url, name)
        if players:
            await _populate(url, players, standings, actions_each)
        return url

    @contextlib.asynccontextmanager
    async def node(
        self, *, players: int = 0, database_url: str = "", redis_url: str = "", workers: int = 1, **environment: str
    ) -> AsyncIterator[Node]:
        """Run `laurels serve` on a new or an existing database. `players` get tokens."""
        if self._sparing and workers == 1 and not (database_url or redis_url or environment):
            yield await self._common_node(players)
            return
        database_url = database_url or await self.database(players=players)
        server = self._server(database_url, redis_url, workers, environment)
        try:
            yield await _serving(server, players, workers)
        finally:
            await asyncio.to_thread(server.stop)

    async def _common_node(self, players: int) -> Node:
        if self._common is None:
            server = self._server(await self.database(players=COMMON_PLAYERS), "", 1, {})
            self._ends.callback(server.stop)
            self._common = await _serving(server, COMMON_PLAYERS, 1)
        if players > COMMON_PLAYERS:
            raise ValueError(f"a sparing stage has {COMMON_PLAYERS} players, not {players}")
        return replace(self._common, tokens=self._common.tokens[:players])

    def _server(self, database_url: str, redis_url: str, workers: int, environment: dict[str, str]) -> LaurelsServer:
        server = LaurelsServer(
            database_url,
            self.folder / "server.log",
            LAURELS_VERIFY_SECONDS="0",
            LAURELS_LOG_LEVEL="warning",
            LAURELS_WORKERS=str(workers),
            REDIS_URL=redis_url,
            **environment,
        )
        server.patience = START_SECONDS
        return server

    def strike(self) -> None:
        """Stop everything that outlived the questions."""
        self._ends.close()

    @contextlib.asynccontextmanager
    async def redis(self) -> AsyncIterator[str]:
        """Run an empty Redis on a loopback port and yield its address."""
        port = free_port()
        folder = self.folder / f"redis-{next(self._numbers)}"
        folder.mkdir()
        server = RedisServer(folder, port=str(port))
        await asyncio.to_thread(server.start)
        try:
            yield f"redis://{HOST}:{port}"
        finally:
            await asyncio.to_thread(server.kill)


async def _serving(server: LaurelsServer, players: int, workers: int) -> Node:
    """Start a server and wait until every worker is ready."""
    own = (server.url,) if workers == 1 else tuple(f"http://{HOST}:{server.port + 1 + n}" for n in range(workers))
    started = time.perf_counter()
    await asyncio.to_thread(server.start)
    assert server.process is not None
    await asyncio.gather(*map(_ready, own))
    ready_after = time.perf_counter() - started
    tokens = await _tokens(server.database_url, players)
    return Node(server.url, server.database_url, server.process.pid, tokens, own, ready_after)


async def _ready(url: str) -> None:
    """Wait for one worker: the shared port answers as soon as the first of them is ready."""
    async with aiohttp.ClientSession() as session:

        async def status() -> int:
            try:
                async with session.get(f"{url}/readyz") as reply:
                    return reply.status
            except aiohttp.ClientConnectionError:
                return 0

        await eventually(status, lambda answered: answered == 200, within=START_SECONDS)


@contextlib.contextmanager
def staged(*, sparing: bool = False) -> Iterator[Stage]:
    """Yield a stage and remove it at the end. Its folder must be accessible to the user that PostgreSQL runs as."""
    folder = Path(tempfile.mkdtemp(prefix="laurels-bench-"))
    folder.chmod(0o755)
    postgres = EmbeddedPostgres(folder / "data")
    try:
        url = postgres.start(own=True)
        asyncio.run(_make_template(url))
        stage = Stage(folder, url, sparing=sparing)
        try:
            yield stage
        finally:
            stage.strike()
    finally:
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def _make_template(url: str) -> None:
    await _execute(url, f"CREATE DATABASE {TEMPLATE}")
    pool = await ledger_pool.connect(_named(url, TEMPLATE), size=6)
    await migrations.migrate(pool)
    await bootstrap.prepare(pool, samples=True, new_signing_key=new_signing_key)
    await close_pool(pool)


async def _populate(url: str, players: int, standings: int, actions_each: int) -> None:
    pool: Pool = await ledger_pool.connect(url, size=2, statement_timeout=600)
    last = FIRST_PLAYER + players - 1
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(_WITHOUT_TRIGGERS.replace("SET", "SET LOCAL"))
        await connection.execute(_USERS, FIRST_PLAYER, last)
        if standings:
            await connection.execute(_WINDOW)
            await connection.execute(_STANDINGS, FIRST_PLAYER, FIRST_PLAYER + standings - 1)
        if actions_each:
            await connection.execute(_CURRENT, FIRST_PLAYER, FIRST_PLAYER + standings - 1)
            for statement in (_ACTIONS, _PROGRESS):
                await connection.execute(statement, FIRST_PLAYER, FIRST_PLAYER + standings - 1, actions_each)
    await pool.execute("VACUUM ANALYZE users, standings, actions, user_action_counters")
    await close_pool(pool)


_WINDOW = """
INSERT INTO windows (board_id, starts_at, ends_at) SELECT id, NULL, NULL FROM boards WHERE is_default
ON CONFLICT DO NOTHING"""


async def _tokens(url: str, players: int) -> list[str]:
    """Return a token for every player, signed with the ledger's key: registering would hash a password for each."""
    pool = await ledger_pool.connect(url, size=2)
    tokens = AccessTokens(TOKEN_SECONDS)
    tokens.set_keys(await Accounts(pool, uuid4()).signing_keys())
    await close_pool(pool)
    ids = range(FIRST_PLAYER, FIRST_PLAYER + players)
    return [tokens.issue(AccountRecord(number, f"p-{number}", "player", "active")) for number in ids]


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


def _named(url: str, name: str) -> str:
    return url.replace("/postgres?", f"/{name}?")
