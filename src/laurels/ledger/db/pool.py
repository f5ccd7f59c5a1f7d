"""Connections to the primary, and the mapping of their failures to refusals.

Statements have no client-side timeout: asyncpg enforces one by cancelling, and a cancelled COMMIT may have happened.
The server bounds statements (`statement_timeout`), and deadlines close the connection instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeAlias, TypeVar

import asyncpg
import structlog

from ... import telemetry
from ...domain.errors import Code, LaurelsError
from .hosts import Hosts
from .liveness import ANSWER_SECONDS, LivenessTimer, forget, liveness, overloaded, unavailable, within
from .poolers import TRANSACTION_MODE, missing_settings, shares_sessions, warn_of_ignored

__all__ = ["ANSWER_SECONDS", "overloaded", "unavailable"]

log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
Connection: TypeAlias = Any
"""An asyncpg connection or a pool's proxy of one: the library has no type that covers both."""
Pool: TypeAlias = asyncpg.Pool

_PLAN_BY_INDEX = "; ".join(
    f"SET {name} = {value}"
    for name, value in {
        "enable_seqscan": "off",
        "enable_hashjoin": "off",
        "enable_mergejoin": "off",
        "plan_cache_mode": "force_generic_plan",
    }.items()
)
MINIMUM_VERSION = 15
CONNECT_TIMEOUT = 5.0
CLOSE_SECONDS = 5.0
RELEASE_SECONDS = 1.0
"""Resetting a connection asks the server; a connection whose server does not answer is closed."""

BROKEN = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection cut in the middle of an exchange confuses asyncpg's state machine
)
"""The connection failed, not the statement: a statement in flight may have been executed."""
UNAVAILABLE = (
    *BROKEN,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.QueryCanceledError,
    asyncpg.DiskFullError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
)
"""Errors of asyncpg for which the database is at fault, not the request."""
BUSY = (
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.TooManyConnectionsError,
)
"""Those of a server that answers and has too much to do."""
ServerError: TypeAlias = asyncpg.PostgresError
"""Any refusal of PostgreSQL, for the operator's commands: a missing privilege, a standby, a full disk."""


QUERY_FAILURES: tuple[type[Exception], ...] = (LaurelsError, TimeoutError, *BROKEN, asyncpg.PostgresError)
"""Failures of a query, its connection or the server, after which background work waits and tries again."""

BadData = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.CharacterNotInRepertoireError)
"""Errors for which the statement's values are at fault; nothing was written."""


class DatabaseUnusable(Exception):
    """The database can't be used as it is configured. The message tells the operator what to do."""


async def connect(url: str, *, size: int, statement_timeout: float = 10.0) -> Pool:
    """Return a pool of `size` connections to the primary at `url`. `statement_timeout` is in seconds.

    Raises DatabaseUnusable when the address is wrong, no server answers, the server is too old, or a pooler in front of
    it shares its sessions.
    """
    settings = _server_settings(statement_timeout)
    try:
        hosts = Hosts(url)
        warn_of_ignored(hosts.address)
        limit = (hosts.address.connect_timeout or CONNECT_TIMEOUT) + 1
        async with asyncio.timeout(limit):
            await _check_sessions(hosts, settings)
        async with asyncio.timeout(limit):
            pool = await asyncpg.create_pool(
                url,
                connect=hosts.connect,
                min_size=min(2, size),
                max_size=size,
                timeout=CONNECT_TIMEOUT,
                max_inactive_connection_lifetime=0,
                server_settings=settings,
            )
    except (OSError, ValueError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DatabaseUnusable(_explain(error)) from error
    try:
        await _check_version(pool)
        await _check_settings(pool, settings)
    except DatabaseUnusable:
        await pool.close()
        raise
    return pool


async def lazy_pool(url: str, *, size: int, statement_timeout: float = 10.0) -> Pool:
    """Return a pool of a server that may be unavailable: it connects when it is first used.

    Raises DatabaseUnusable when the address can't be parsed.
    """
    try:
        hosts = Hosts(url)
        warn_of_ignored(hosts.address)
        return await asyncpg.create_pool(
            url,
            connect=hosts.connect,
            min_size=0,
            max_size=size,
            timeout=CONNECT_TIMEOUT,
            max_inactive_connection_lifetime=0,
            server_settings=_server_settings(statement_timeout),
        )
    except (OSError, ValueError, asyncpg.InterfaceError) as error:
        raise DatabaseUnusable(_explain(error)) from error


@contextlib.asynccontextmanager
async def acquire(pool: Pool) -> AsyncIterator[Connection]:
    """Acquire a connection. Raises LaurelsError DATABASE_UNAVAILABLE (silent server) or OVERLOADED (busy server)."""
    with map_errors():
        async with within(pool):
            connection = await pool.acquire()
        try:
            with map_closed_connection(connection):
                yield connection
        finally:
            await release(pool, connection)


@contextlib.contextmanager
def map_closed_connection(connection: Connection) -> Iterator[None]:
    """Raise asyncpg.InterfaceError for a connection that was closed in the middle of a statement.

    asyncpg calls its protocol object several times per statement, and checks only once that it is still there: later
    it raises an AttributeError of None.
    """
    try:
        yield
    except AttributeError as error:
        if is_closed(connection):
            raise asyncpg.InterfaceError("the connection was closed in the middle of a statement") from error
        raise


@contextlib.asynccontextmanager
async def acquire_within(pool: Pool) -> AsyncIterator[Connection]:
    """Acquire a connection for one caller, and close it when its server falls silent, or at the caller's deadline.

    It is closed and never cancelled, because a statement in flight may have been executed. Raises LaurelsError
    DATABASE_UNAVAILABLE or OVERLOADED then.
    """
    cut = _Cutoff(pool)
    with cut.explained():
        async with acquire(pool) as connection:
            cut.connection = connection
            yield connection


class _Cutoff:
    """Closes a connection whose server falls silent, or that is in use for too long."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.connection: Connection | None = None
        self._timer = LivenessTimer(pool, self._cut)

    def again(self) -> None:
        """Start the time again, for the next statement."""
        if self._timer.ended:
            return
        self._timer.stop()
        self._timer = LivenessTimer(self._pool, self._cut)

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Raise OVERLOADED instead of DATABASE_UNAVAILABLE if the server was only slow."""
        try:
            yield
        except LaurelsError as error:
            if error.code is Code.DATABASE_UNAVAILABLE and self._timer.overdue:
                raise overloaded() from error
            raise
        finally:
            self._timer.stop()

    def _cut(self) -> None:
        if self.connection is not None:
            drop(self.connection)


@dataclass(slots=True)
class DeadlineClose:
    """Whether `closed_at` had to close its connection."""

    was_closed: bool = False

    def close(self, connection: Connection) -> None:
        self.was_closed = True
        drop(connection)


@contextlib.contextmanager
def closed_at(until: float, connection: Connection) -> Iterator[DeadlineClose]:
    """Close the connection if the body still runs at `until`, a time of the loop's clock."""
    cut = DeadlineClose()
    timer = asyncio.get_running_loop().call_at(until, cut.close, connection)
    try:
        yield cut
    finally:
        timer.cancel()


class _StatementDeadlines:
    """A connection that gives each statement a deadline of its own."""

    def __init__(self, connection: Connection, cut: _Cutoff) -> None:
        self._connection = connection
        self._cut = cut

    def __getattr__(self, name: str) -> Any:
        """Start the time again: every statement begins with reading one of the connection's methods."""
        self._cut.again()
        return getattr(self._connection, name)


@contextlib.asynccontextmanager
async def acquire_per_statement(pool: Pool) -> AsyncIterator[Connection]:
    """Acquire a connection for long work: the deadline of `acquire_within` applies to each statement, not to all."""
    cut = _Cutoff(pool)
    with cut.explained():
        async with acquire(pool) as connection:
            cut.connection = connection
            yield _StatementDeadlines(connection, cut)


async def plan_by_index(connection: Connection) -> None:
    """Make this connection reach every row through an index, until it is released.

    PostgreSQL keeps the plan of a prepared statement. One made while the tables were nearly empty scans them whole, and
    is kept while they grow: until the next ANALYZE every batch would read the whole ledger.
    """
    await connection.execute(_PLAN_BY_INDEX)


async def release(pool: Pool, connection: Connection) -> None:
    """Return a connection to its pool. A broken one can't be reset: the pool has dropped it."""
    lives = not is_closed(connection)
    with contextlib.suppress(*UNAVAILABLE):
        await pool.release(connection, timeout=RELEASE_SECONDS)
        if lives:  # the reset has asked the server
            liveness(pool).heard()


async def close(pool: Pool) -> None:
    """Close a pool gracefully, or terminate it after CLOSE_SECONDS."""
    forget(pool)
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await pool.close()
    except TimeoutError:
        pool.terminate()


def drop(connection: Connection) -> None:
    """Close a connection at once, without notifying the server; the pool opens a new one."""
    with contextlib.suppress(*BROKEN):
        connection.terminate()


def is_closed(connection: Connection) -> bool:
    """Return whether a connection is closed. True for the proxy of a broken one, which the pool has taken back."""
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        return True


@contextlib.contextmanager
def map_errors() -> Iterator[None]:
    """Map errors of asyncpg to LaurelsError: OVERLOADED for a busy server, else DATABASE_UNAVAILABLE."""
    try:
        yield
    except BUSY as error:
        raise overloaded() from error
    except UNAVAILABLE as error:
        raise unavailable() from error


def refused_when_it_fails(work: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Wrap a background query so that every failure is counted and raised as a LaurelsError."""

    async def wrapped(*arguments: P.args, **named: P.kwargs) -> T:
        try:
            return await work(*arguments, **named)
        except LaurelsError:
            raise
        except QUERY_FAILURES as error:
            telemetry.CHORE_FAILURES.labels("live", type(error).__name__).inc()
            raise unavailable() from error

    return wrapped


def _server_settings(statement_timeout: float) -> dict[str, str]:
    return {
        "application_name": "laurels",
        "statement_timeout": str(int(statement_timeout * 1000)),
        "lock_timeout": "5000",
        "idle_in_transaction_session_timeout": "10000",
        "jit": "off",
        "timezone": "UTC",
    }


async def _check_sessions(hosts: Hosts, settings: dict[str, str]) -> None:
    async def connect() -> Connection:
        return await hosts.connect("", timeout=CONNECT_TIMEOUT, server_settings=settings, statement_cache_size=0)

    if await shares_sessions(connect):
        raise DatabaseUnusable(TRANSACTION_MODE)


async def _check_settings(pool: Pool, settings: dict[str, str]) -> None:
    async with pool.acquire() as connection:
        missing = await missing_settings(connection, settings)
    if missing:
        log.warning("a pooler drops connection settings: set them with ALTER ROLE … SET", settings=", ".join(missing))


async def _check_version(pool: Pool) -> None:
    async with pool.acquire() as connection:
        major = connection.get_server_version().major
    if major < MINIMUM_VERSION:
        raise DatabaseUnusable(f"PostgreSQL {major} is too old: Laurels needs {MINIMUM_VERSION} or newer.")


def _explain(error: Exception) -> str:
    reason = str(error) or type(error).__name__
    if isinstance(error, asyncpg.InvalidPasswordError):
        hint = "check user and password in DATABASE_URL"
    elif isinstance(error, asyncpg.InvalidCatalogNameError):
        hint = "create the database first (createdb), or correct its name in DATABASE_URL"
    elif isinstance(error, ssl.SSLError):
        hint = "check sslmode, sslrootcert, sslcert and sslkey in DATABASE_URL"
    elif isinstance(error, asyncpg.ProtocolViolationError) and "startup parameter" in reason:
        hint = "a pooler is in front of PostgreSQL: connect to PostgreSQL itself, or see docs/deploy.md"
    elif isinstance(error, asyncpg.CantChangeRuntimeParamError | asyncpg.UndefinedObjectError):
        hint = "DATABASE_URL sets a parameter that this server does not know"
    elif isinstance(error, OSError | TimeoutError):
        hint = "is the server running, and are host and port of DATABASE_URL right?"
    else:
        hint = "check DATABASE_URL"
    return f"can't connect to PostgreSQL: {reason.splitlines()[0]} ({hint})"
