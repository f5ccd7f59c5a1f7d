"""Fixtures: a real PostgreSQL for the session, a database of its own for every test, real nodes.

Tests run in several processes (`make test`); each is a session with servers of its own.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from laurels.config import Settings
from laurels.event_loop import Loop
from laurels.ledger.accounts import bootstrap
from laurels.ledger.db import migrations
from laurels.ledger.db import pool as ledger_pool
from laurels.ledger.embedded.server import EmbeddedPostgres
from laurels.web.auth.access_tokens import new_signing_key
from tests.support.folders import reachable
from tests.support.node import InProcessNode, running_node
from tests.support.programs import left_running
from tests.support.purity import forbid_programs, is_pure
from tests.support.redis import RedisServer
from tests.support.server import LaurelsServer

ONE_CLUSTER = {"deploy", "edge", "faults"}
"""Rooms whose tests share a fixture that takes long to start: they run in one process, one after the other."""
_numbers = itertools.count(1)
hypothesis_settings.register_profile("laurels", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("laurels")  # a busy machine, or one that traces branches, does not fail a test


def pytest_asyncio_loop_factories() -> dict[str, object]:
    """The loop that production runs on."""
    return {"uvloop": Loop}


@pytest.hookimpl(tryfirst=True)  # xdist reads the marks in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark pure tests. Where tests run in several processes, those of one file (or of ONE_CLUSTER) run in the same."""
    for item in items:
        if is_pure(item):
            item.add_marker(pytest.mark.pure)
        room = item.path.parent.name
        item.add_marker(pytest.mark.xdist_group("cluster" if room in ONE_CLUSTER else f"{room}/{item.path.stem}"))


@pytest.fixture(scope="session", autouse=True)
def no_process_is_left() -> Iterator[None]:
    """The first fixture of a session is the last to end: by then whatever tests started has ended."""
    yield
    assert left_running() == []


@pytest.fixture(autouse=True)
def pure_tests_start_no_program(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("pure"):
        forbid_programs(monkeypatch)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Address of the session's PostgreSQL, with a migrated `laurels_template` database.

    Not in pytest's folder: a second pytest that starts meanwhile closes that to everybody but root.
    """
    folder = reachable(Path(tempfile.mkdtemp(prefix="laurels-tests-")))
    server = EmbeddedPostgres(folder)
    url = server.start(own=True)
    asyncio.run(_make_template(url))
    yield url
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


async def _make_template(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("ALTER SYSTEM SET fsync = off")  # processes die in tests, the machine does not
    await connection.execute("SELECT pg_reload_conf()")
    await connection.execute("CREATE DATABASE laurels_template")
    await connection.close()
    pool = await ledger_pool.connect(_database(url, "laurels_template"), size=6)
    await migrations.migrate(pool)
    await bootstrap.prepare(pool, samples=True, new_signing_key=new_signing_key)
    await pool.close()


def _database(url: str, name: str) -> str:
    return url.replace("/postgres?", f"/{name}?")


@pytest.fixture(scope="session")
def session_redis() -> Iterator[RedisServer]:
    """The session's Redis server. Take `redis_server`, which is empty; start one of your own to hurt it.

    Not in pytest's folder, for the same reason as PostgreSQL: pytest keeps those of its last three runs.
    """
    with tempfile.TemporaryDirectory(prefix="laurels-tests-") as folder:
        server = RedisServer(Path(folder))
        server.start()
        yield server
        server.stop()


@pytest.fixture
def redis_server(session_redis: RedisServer) -> RedisServer:
    """An empty Redis. Tests may flush it, not stop it."""
    session_redis.flush()
    return session_redis


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of this test alone: to be killed, paused, filled."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def database_url(postgres: str) -> AsyncIterator[str]:
    """A migrated database that no other test sees, with the default boards and sample types."""
    name = f"t{next(_numbers)}"
    admin = await asyncpg.connect(postgres)
    await admin.execute(f"CREATE DATABASE {name} TEMPLATE laurels_template STRATEGY file_copy")
    yield _database(postgres, name)
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[ledger_pool.Pool]:
    pool = await ledger_pool.connect(database_url, size=20)
    yield pool
    pool.terminate()


@pytest.fixture
def settings(database_url: str) -> Settings:
    """A node's settings for tests: a free port, generous rates, no chores that run by the clock."""
    return Settings(
        database_url=database_url,
        port=0,
        user_rate=10_000_000,
        address_rate=10_000_000,
        probe_rate=10_000_000,
        login_rate=10_000_000,
        account_rate=10_000_000,
        network_rate=10_000_000,
        failure_rate=10_000_000,
        hold_user_rate=1_000_000_000,
        hold_address_rate=1_000_000_000,
        sockets_per_address=10_000,
        snapshot_seconds=0,
        verify_seconds=0,
        drain_seconds=1,
    )


@pytest.fixture
async def node(settings: Settings) -> AsyncIterator[InProcessNode]:
    """A whole node in this process, on a real port."""
    async with running_node(settings) as node:
        yield node


@pytest.fixture(scope="session")
def laurels_server(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LaurelsServer]:
    """`laurels serve` as a process of its own, for browsers and crashes; one for the session."""
    name = f"server{next(_numbers)}"
    asyncio.run(_create(postgres, name))
    server = LaurelsServer(_database(postgres, name), tmp_path_factory.mktemp("server") / "log")
    server.start()
    yield server
    server.stop()


async def _create(url: str, name: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE laurels_template")
    await connection.close()
