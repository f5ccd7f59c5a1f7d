"""Parse REDIS_URL.

redis://[user:password@]host[:6379][/db]
rediss://…                                        TLS; `?ca=FILE` trusts only that authority
unix://[user:password@]/path/to/socket[?db=0]
redis+sentinel://[user:password@]host1[:26379],host2[:26379]/master[?db=0]
    [&tls=true][&ca=FILE][&sentinel_username=…&sentinel_password=…]
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

REDIS_PORT = 6379
SENTINEL_PORT = 26379
_SHAPE = "redis://host:6379/0, rediss://…, unix:///path/to/socket or redis+sentinel://host1:26379,host2:26379/master"
_OPTIONS = {
    "redis": set[str](),
    "rediss": {"ca"},
    "unix": {"db"},
    "redis+sentinel": {"db", "tls", "ca", "sentinel_username", "sentinel_password"},
}


class RedisUnusable(Exception):
    """Redis can't be used as configured; the message tells the operator what to do."""


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """The address of Redis: hosts (several sentinels that know where `master` is, or one), or the path of a socket."""

    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    master: str = ""
    db: int = 0
    tls: bool = False
    ca: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        """Return the address for people and logs, never with a password."""
        place = self.path or ",".join(f"{host}:{port}" for host, port in self.hosts)
        return f"{place} ({self.master})" if self.master else place


def parse_address(url: str) -> RedisAddress:
    """Parse REDIS_URL. Raises RedisUnusable, without repeating the address, which may hold a password."""
    parts = urlsplit(url)
    if parts.scheme not in _OPTIONS or parts.fragment:
        raise RedisUnusable(f"REDIS_URL must look like {_SHAPE}")
    options = dict(parse_qsl(parts.query))
    unknown = options.keys() - _OPTIONS[parts.scheme]
    if unknown:
        raise RedisUnusable(f"REDIS_URL has an unknown option {min(unknown)!r}")
    credentials, _, place = parts.netloc.rpartition("@")
    username, _, password = (unquote(part) or None for part in credentials.partition(":"))
    sentinel = parts.scheme == "redis+sentinel"
    path = unquote(parts.path)
    if parts.scheme == "unix":
        where: dict[str, Any] = {"path": _given(path.removesuffix("/"), "the path of a socket")}
    elif sentinel:
        where = {"hosts": _hosts(place, SENTINEL_PORT), "master": _given(path.strip("/"), "the name of a master")}
    else:
        where = {"hosts": _hosts(place, REDIS_PORT)[:1]}
        options["db"] = path.strip("/") or "0"
    return RedisAddress(
        **where,
        db=_number(options.get("db", "0"), "the number of a database"),
        tls=parts.scheme == "rediss" or options.get("tls", "").lower() in ("1", "true", "yes"),
        ca=options.get("ca"),
        username=username,
        password=password,
        sentinel_username=options.get("sentinel_username"),
        sentinel_password=options.get("sentinel_password"),
    )


def _hosts(place: str, port: int) -> tuple[tuple[str, int], ...]:
    hosts = []
    for item in place.split(","):
        split = urlsplit(f"//{item}")
        try:
            hosts.append((_given(split.hostname or "", "a host"), split.port or port))
        except ValueError:
            raise RedisUnusable("REDIS_URL has a port that is not a number up to 65535") from None
    return tuple(hosts)


def _given(value: str, what: str) -> str:
    if not value:
        raise RedisUnusable(f"REDIS_URL lacks {what}: it must look like {_SHAPE}")
    return value


def _number(value: str, what: str) -> int:
    if not value.isdecimal():
        raise RedisUnusable(f"REDIS_URL: {value!r} is not {what}")
    return int(value)
