"""Translate connection strings of libpq and other drivers into what asyncpg accepts.

asyncpg sends every parameter that it does not know to the server as a setting, and the server refuses the connection.
Here such parameters are applied, or reported as ignored. Errors never quote the string: a password with an unescaped
character may appear in any of its parts.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit, urlunsplit

FORM = "it looks like postgresql://user:password@host:5432/database, with special characters as %40 for @, %2F for /, …"
LONGEST_CONNECT_SECONDS = 60.0

_IGNORED = frozenset(
    {
        # libpq: security that asyncpg does not support, socket tuning, and what the pool does in its own way
        *("channel_binding", "require_auth", "requirepeer", "requiressl", "gssencmode", "gssdelegation"),
        *("sslcompression", "sslsni", "sslcertmode", "sslkeylogfile", "min_protocol_version", "max_protocol_version"),
        *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"),
        *("hostaddr", "load_balance_hosts", "replication", "client_encoding", "fallback_application_name"),
        *("servicefile", "scram_client_key", "scram_server_key"),
        *("oauth_issuer", "oauth_client_id", "oauth_client_secret", "oauth_scope"),
        # other drivers' and ORMs'
        *("pgbouncer", "schema", "connection_limit", "pool_timeout", "socket_timeout", "sslaccept"),
        *("statement_cache_size", "prepared_statement_cache_size", "prepareThreshold", "uselibpqcompat"),
    }
)
_SATISFIED = {
    "channel_binding": {"prefer", "disable"},
    "gssencmode": {"prefer", "disable"},
    "client_encoding": {"utf8"},
}
"""Values that ask for what happens anyway: no warning."""
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_FILLED_IN = {
    "PGPORT": "port",
    "PGUSER": "user",
    "PGDATABASE": "dbname",
    "PGHOST": "host",
    "PGSSLMODE": "sslmode",
    "PGTARGETSESSIONATTRS": "target_session_attrs",
}


@dataclass(frozen=True, slots=True)
class ConnectionString:
    """`urls` for asyncpg, one for each host. `options`: what asyncpg accepts only as arguments. Seconds."""

    urls: tuple[str, ...]
    connect_timeout: float | None = None
    application_name: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    from_environment: tuple[str, ...] = ()
    """Variables of libpq that fill in what the string leaves out."""


_URL = re.compile(
    r"(postgresql|postgres)://([^/?#\x00-\x20]*)([^?#\x00-\x1f]*)(?:\?([^#\x00-\x1f]*))?(?:#(.*))?", re.DOTALL
)
"""Scheme, credentials and hosts, path, query, fragment, as RFC 3986 tells them apart."""


def parse(url: str) -> ConnectionString:
    """Parse a connection string. Raises ValueError, which quotes nothing of it."""
    parts = _split(url)
    given = _parameters(parts)
    ignored = _take_ignored(given)
    options = _take_options(given)
    timeout, said = _take_timeout(given)
    name = given.pop("application_name", None)
    credentials, at, places = parts.netloc.rpartition("@")
    query = urlencode(given, quote_via=quote)
    urls = tuple(
        urlunsplit(parts._replace(netloc=f"{credentials}{at}{place}", query=query)) for place in places.split(",")
    )
    try:
        for one in urls:
            urlsplit(one)  # as asyncpg will
    except ValueError:
        raise ValueError(FORM) from None
    return ConnectionString(urls, timeout, name, options, (*ignored, *said), _from_environment(parts, given))


def _split(url: str) -> SplitResult:
    # Not urlsplit: some versions of Python refuse a list of hosts with an address in brackets.
    found = _URL.fullmatch(url)
    if found is None:
        raise ValueError(FORM)
    parts = SplitResult(*(group or "" for group in found.groups()))
    credentials, _, places = parts.netloc.rpartition("@")
    if "@" in credentials or "@" in parts.path or parts.fragment:
        raise ValueError(FORM)
    if not all(_is_place(place) for place in places.split(",")):
        raise ValueError(FORM)
    return parts


def _is_place(place: str) -> bool:
    """Return whether this is host, host:port, [address], [address]:port, or empty."""
    host, colon, port = place.rpartition(":") if not place.endswith("]") else (place, "", "")
    if not colon:
        return True
    return (":" not in host or host.startswith("[")) and (not port or (port.isascii() and port.isdigit()))


def _parameters(parts: SplitResult) -> dict[str, str]:
    fields = parts.query.split("&") if parts.query else []
    if not all("=" in one for one in fields):
        raise ValueError(FORM)
    given = {name: value for name, value in parse_qsl(parts.query) if value}
    if not all(port.isascii() and port.isdigit() for port in given.get("port", "0").split(",")):
        raise ValueError(FORM)
    return given


def _take_ignored(given: dict[str, str]) -> list[str]:
    found = [name for name in given if name in _IGNORED]
    return [name for name in found if given.pop(name).lower() not in _SATISFIED.get(name, ())]


def _take_options(given: dict[str, str]) -> dict[str, Any]:
    if given.pop("ssl", "").lower() in ("true", "1", "require"):  # JDBC's parameter; libpq accepts it as well
        given.setdefault("sslmode", "require")
    for name in _FILES:
        if (path := given.get(name)) and path != "system" and ("\0" in path or not os.access(path, os.R_OK)):
            raise ValueError(f"{name} names a file that can't be read: {Path(path)}")
    if given.get("sslrootcert") == "system":  # libpq demands verify-full with it; so does this context
        del given["sslrootcert"]
        given.pop("sslmode", None)
        return {"ssl": ssl.create_default_context()}
    if given.get("sslmode") == "disable":
        return {"direct_tls": False}  # PGSSLNEGOTIATION would contradict it
    return {}


def _take_timeout(given: dict[str, str]) -> tuple[float | None, list[str]]:
    """Return the timeout in seconds, and the names to report as ignored. As in libpq, 0 means no limit."""
    raw = given.pop("connect_timeout", None)
    if raw is None:
        return None, []
    if not (raw.isascii() and raw.isdigit()):
        return None, ["connect_timeout"]
    return min(float(raw), LONGEST_CONNECT_SECONDS) or None, []


def _from_environment(parts: SplitResult, given: Mapping[str, str]) -> tuple[str, ...]:
    credentials, _, places = parts.netloc.rpartition("@")
    last = places.rsplit(",", 1)[-1]
    said = set(given) | ({"dbname"} if "database" in given or parts.path.strip("/") else set())
    said |= {"user"} if credentials else set()
    said |= {"host"} if places else set()
    said |= {"port"} if not last.endswith("]") and last.rpartition(":")[1] else set()
    return tuple(name for name, meaning in _FILLED_IN.items() if os.environ.get(name) and meaning not in said)
