"""Redis as the other rooms use it: calls with a deadline, behind a breaker.

redis-py would send a command again when its reply was lost. That is right for some calls only, so
it is turned off here: who makes an idempotent call says so, and then it is made twice at most.
RESP2, because nothing here needs what RESP3 adds, and a connection needs no greeting for it.
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
"""One call, the wait for a connection included."""
CONNECTIONS = 16
"""Calls in flight of one node; the rest wait, within their deadline."""
SPARE = 8
"""More connections for who keeps one: subscriptions."""
MINIMUM_VERSION = (7, 0)

Client: TypeAlias = Redis
T = TypeVar("T")


class RedisUnavailable(Exception):
    """Redis does not answer, not in time, or refuses: out of memory, read-only, being loaded.

    What was asked may have been done all the same.
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
    """One Redis. `client` is for what keeps a connection of its own (pub/sub); all else goes through `call`.

    `ledger` names whose data this is: several deployments may use one server.
    """

    def __init__(self, address: RedisAddress, ledger: str, *, breaker: CircuitBreaker | None = None) -> None:
        self.address = address
        self._ledger = ledger
        self.client = _client(address)
        self.breaker = breaker or CircuitBreaker("redis")
        self._turns = asyncio.Semaphore(CONNECTIONS)

    def key(self, group: str, *parts: str | int) -> str:
        """Return the name of a key or channel. All names are made here, so none lacks the ledger's id.

        Keys of one group lie in one slot of a Redis Cluster, so that one script may use them together.
        """
        return ":".join((f"laurels:{{{self._ledger}.{group}}}", *map(str, parts)))

    async def call(
        self, work: Callable[[Client], Awaitable[T]], *, seconds: float = CALL_SECONDS, idempotent: bool = False
    ) -> T:
        """What `work` answers. `idempotent`: make it again when the connection broke, within the same deadline.

        Raises RedisAway.
        """
        try:
            with self.breaker.attempt(RedisError, OSError, TimeoutError):
                async with asyncio.timeout(seconds), self._turns:
                    return await self._made(work, idempotent=idempotent)
        except BreakerOpen as error:
            raise RedisUnavailable(str(error)) from error
        except (RedisError, OSError, TimeoutError) as error:
            raise RedisUnavailable(str(error) or type(error).__name__) from error

    async def _made(self, work: Callable[[Client], Awaitable[T]], *, idempotent: bool) -> T:
        try:
            with closed_transport_is_reset():
                return await work(self.client)
        except (ConnectionBroken, NoReply, ConnectionResetError):
            if not idempotent:
                raise
        with closed_transport_is_reset():
            return await work(self.client)

    async def check(self) -> None:
        """Raises RedisUnusable when it answers but must not be used so, RedisAway when it does not answer."""
        try:
            told: dict[str, Any] = await self.call(lambda client: client.info("server"))
        except RedisUnavailable as away:
            if isinstance(away.__cause__, AuthenticationError) or "password" in str(away):
                raise RedisUnusable(f"Redis at {self.address} refuses user or password of REDIS_URL") from away
            raise
        version = str(told["redis_version"])
        if tuple(int(part) for part in version.split(".")[:2]) < MINIMUM_VERSION:
            raise RedisUnusable(f"Redis {version} is too old: Laurels needs 7.0 or newer, or Valkey")
        memory: dict[str, Any] = await self.call(lambda client: client.info("memory"))
        if memory["maxmemory"] and str(memory["maxmemory_policy"]).startswith("allkeys"):
            log.warning(
                "Redis may evict keys of the index, and it would be built anew: set maxmemory-policy noeviction"
            )

    async def close(self) -> None:
        await self.client.aclose()


def _client(address: RedisAddress) -> Client:
    options: dict[str, Any] = {
        "db": address.db,
        "username": address.username,
        "password": address.password,
        "socket_connect_timeout": CONNECT_SECONDS,
        # `call` bounds it all. With a limit of its own, redis-py sends through asyncio.wait_for, which may swallow
        # a cancellation before Python 3.12: a task that is told to end would go on.
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
