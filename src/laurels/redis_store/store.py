"""Calls to Redis with a deadline, behind a circuit breaker.

redis-py would repeat a command when its reply was lost. That is right for some calls only, so it is turned off here:
calls that are marked idempotent are made twice at most. The protocol is RESP2: nothing here needs RESP3, and a RESP2
connection starts without a greeting.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeAlias, TypeVar

import structlog
from redis.asyncio import Connection, ConnectionPool, Redis, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.exceptions import ConnectionError as ConnectionBroken
from redis.exceptions import TimeoutError as NoReply

from ..concurrency.circuit_breaker import BreakerOpen, CircuitBreaker
from .address import RedisAddress, RedisUnusable

log = structlog.get_logger(__name__)

CONNECT_SECONDS = 0.5
CALL_SECONDS = 1.0
"""Deadline of one call, including the wait for a connection."""
CONNECTIONS = 16
"""Calls in flight of one node; others wait, within their deadline."""
SPARE = 8
"""Further connections, for subscriptions, which keep theirs."""
MINIMUM_VERSION = (7, 0)

Client: TypeAlias = Redis
T = TypeVar("T")


class RedisUnavailable(Exception):
    """Redis does not answer in time, or refuses: out of memory, read-only, or loading.

    The command may have been executed all the same.
    """


@contextlib.contextmanager
def closed_transport_is_reset() -> Iterator[None]:
    """Raise ConnectionResetError when redis-py writes to a connection that was reset.

    uvloop raises a plain RuntimeError then, which redis-py lets through.
    """
    try:
        yield
    except RuntimeError as error:
        if "handler is closed" not in str(error):
            raise
        raise ConnectionResetError(str(error)) from error


class RedisStore:
    """One Redis. `client` is for pub/sub, which keeps a connection of its own; all else goes through `call`.

    `ledger` is the id of the ledger: several deployments may share one server.
    """

    def __init__(self, address: RedisAddress, ledger: str, *, breaker: CircuitBreaker | None = None) -> None:
        self.address = address
        self._ledger = ledger
        self.client = _client(address)
        self.breaker = breaker or CircuitBreaker("redis")
        self._turns = asyncio.Semaphore(CONNECTIONS)

    def key(self, group: str, *parts: str | int) -> str:
        """Return the name of a key or channel. All names are made here, so that each has the ledger's id.

        Keys of one group lie in one slot of a Redis Cluster, so that one script may use them together.
        """
        return ":".join((f"laurels:{{{self._ledger}.{group}}}", *map(str, parts)))

    async def call(
        self, work: Callable[[Client], Awaitable[T]], *, seconds: float = CALL_SECONDS, idempotent: bool = False
    ) -> T:
        """Return the result of `work`. Raises RedisUnavailable.

        `idempotent`: repeat the call once if the connection broke, within the same deadline.
        """
        try:
            with self.breaker.attempt(RedisError, OSError, TimeoutError):
                async with asyncio.timeout(seconds), self._turns:
                    return await self._call_once_or_twice(work, idempotent=idempotent)
        except BreakerOpen as error:
            raise RedisUnavailable(str(error)) from error
        except (RedisError, OSError, TimeoutError) as error:
            raise RedisUnavailable(str(error) or type(error).__name__) from error

    async def _call_once_or_twice(self, work: Callable[[Client], Awaitable[T]], *, idempotent: bool) -> T:
        try:
            with closed_transport_is_reset():
                return await work(self.client)
        except (ConnectionBroken, NoReply, ConnectionResetError):
            if not idempotent:
                raise
        with closed_transport_is_reset():
            return await work(self.client)

    async def check(self) -> None:
        """Check version and settings. Raises RedisUnusable if they don't fit, RedisUnavailable without an answer."""
        try:
            server: dict[str, Any] = await self.call(lambda client: client.info("server"))
        except RedisUnavailable as error:
            if isinstance(error.__cause__, AuthenticationError) or "password" in str(error):
                raise RedisUnusable(f"Redis at {self.address} refuses the user or password of REDIS_URL") from error
            raise
        version = str(server["redis_version"])
        if tuple(int(part) for part in version.split(".")[:2]) < MINIMUM_VERSION:
            raise RedisUnusable(f"Redis {version} is too old: Laurels needs 7.0 or newer, or Valkey")
        memory: dict[str, Any] = await self.call(lambda client: client.info("memory"))
        if memory["maxmemory"] and str(memory["maxmemory_policy"]).startswith("allkeys"):
            log.warning(
                "Redis may evict keys of the index, which would then be rebuilt: set maxmemory-policy noeviction"
            )

    async def close(self) -> None:
        await self.client.aclose()


def _client(address: RedisAddress) -> Client:
    options: dict[str, Any] = {
        "db": address.db,
        "username": address.username,
        "password": address.password,
        "socket_connect_timeout": CONNECT_SECONDS,
        # `call` bounds everything. With a timeout of its own, redis-py sends by asyncio.wait_for, which may swallow
        # a cancellation before Python 3.12: a cancelled task would go on.
        "socket_timeout": None,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "driver_info": None,  # two round trips less for a new connection
        "max_connections": CONNECTIONS + SPARE,
    }
    if address.tls:
        options["ssl_ca_certs"] = address.ca
    if address.master:
        return _through_sentinels(address, options)
    if address.path:
        kind: type[Any] = UnixDomainSocketConnection
        options["path"] = address.path
    else:
        kind = SSLConnection if address.tls else Connection
        options["host"], options["port"] = address.hosts[0]
    return Redis.from_pool(ConnectionPool(connection_class=kind, **options))


def _through_sentinels(address: RedisAddress, options: dict[str, Any]) -> Client:
    sentinels = {
        "username": address.sentinel_username,
        "password": address.sentinel_password,
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": CONNECT_SECONDS,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "driver_info": None,
    }
    if address.tls:
        sentinels |= {"ssl": True, "ssl_ca_certs": address.ca}
        options["ssl"] = True
    known = Sentinel(address.hosts, sentinel_kwargs=sentinels, **options)  # type: ignore[no-untyped-call]
    master: Client = known.master_for(address.master)
    return master
