"""Settings from the environment. Only `cli` and the modules that start a node read them.

Every setting has one environment variable; `NAME_FILE` may name a file that holds the value, for secrets that must not
show in a process list. An unknown `LAURELS_…` variable is refused: a typo must not silently mean the default. Variables
of that form that container engines and clients set are ignored.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from .domain.schema_hints import nearest
from .environment import CLIENT_NAMES, is_service_link, without_service_links
from .web.auth.issuers import parse_issuers
from .web.http.forwarded import HEADERS

SPARE_CONNECTIONS = 3
"""Connections for reads and the journal while every lane is busy."""
MIN_ENCRYPTION_KEY = 32
PASSWORD_LENGTH = range(10, 257)
EMBEDDED_POOL = 40
"""The embedded PostgreSQL accepts 60 connections; commands beside the node need some."""

_ORIGIN = re.compile(r"https?://[a-z0-9.:\[\]-]+")
"""Scheme, host and port as browsers send them: lower case, without a path or a final slash."""
_ADDRESSES = re.compile(r",(?=[a-z+]+://)")
_SECRET_PARAMETER = re.compile(r"([?&][a-z_]*(?:password|secret|client_key|server_key)=)[^&]*", re.IGNORECASE)


ROLES = ("api", "live", "worker", "all")
MAY_BE_EMPTY = ("DATABASE_URL", "REPLICA_URLS", "REDIS_URL", "LAURELS_ORIGINS", "LAURELS_RESERVED_NAMES")


class ConfigError(Exception):
    """A setting is not usable; the message names it and says what to do."""


def _setting(env: str, default: Any, help_text: str, *, secret: bool = False, **limits: float) -> Any:
    return field(default=default, metadata={"env": env, "help": help_text, "secret": secret, **limits})


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. `laurels config` prints this table with the values in force."""

    database_url: str = _setting("DATABASE_URL", "", "PostgreSQL 15 to 18; empty: an embedded one under LAURELS_DATA")
    replica_urls: str = _setting("REPLICA_URLS", "", "read replicas, separated by commas; reads go there when exact")
    redis_url: str = _setting(
        "REDIS_URL",
        "",
        "redis://, rediss:// or redis+sentinel://; for many nodes: ranks, caches, limits, bus",
    )
    role: str = _setting("LAURELS_ROLE", "all", "role of this node: api, live, worker or all")
    workers: int = _setting(
        "LAURELS_WORKERS", 1, "processes on the one port; more than one needs REDIS_URL", low=1, high=64
    )
    metrics_port: int = _setting(
        "LAURELS_METRICS_PORT", 0, "a further port, for health checks and metrics; 0: none", low=0, high=65535
    )
    metrics_private: bool = _setting(
        "LAURELS_METRICS_PRIVATE", False, "serve metrics on LAURELS_METRICS_PORT only, not on the public port"
    )
    data: Path = _setting("LAURELS_DATA", Path("data"), "folder of the embedded PostgreSQL")  # noqa: RUF009  a field() by another name
    host: str = _setting("LAURELS_HOST", "127.0.0.1", "address to listen on")
    port: int = _setting("LAURELS_PORT", 8000, "port to listen on; 0 takes a free one", low=0, high=65535)
    log_level: str = _setting("LAURELS_LOG_LEVEL", "info", "debug, info, warning or error")
    access_log: bool = _setting("LAURELS_ACCESS_LOG", False, "log every request, not only refused and slow ones")
    trusted_proxies: int = _setting(
        "LAURELS_TRUSTED_PROXIES", 0, "proxies in front, whose X-Forwarded-For entries are believed", low=0, high=8
    )
    forwarded_header: str = _setting(
        "LAURELS_FORWARDED_HEADER",
        "either",
        "header that proxies set: x-forwarded-for, forwarded, or either (the second where the first is missing)",
    )
    pool_size: int = _setting("LAURELS_POOL_SIZE", 12, "connections to PostgreSQL", low=6, high=200)
    lanes: int = _setting("LAURELS_LANES", 3, "batches in flight at once", low=1, high=16)
    queue_limit: int = _setting("LAURELS_QUEUE_LIMIT", 10_000, "actions waiting for a lane", low=1_000, high=1_000_000)
    token_seconds: int = _setting(
        "LAURELS_TOKEN_SECONDS", 900, "seconds that an access token lasts", low=5, high=86_400
    )
    refresh_days: int = _setting("LAURELS_REFRESH_DAYS", 30, "days that an unused refresh token lasts", low=1, high=365)
    password_workers: int = _setting("LAURELS_PASSWORD_WORKERS", 2, "password hashes computed at once", low=1, high=32)
    user_rate: int = _setting(
        "LAURELS_USER_RATE", 600, "actions and requests per minute and user", low=1, high=10_000_000
    )
    issuers: str = _setting(
        "LAURELS_ISSUERS", "", "external issuers whose tokens are accepted, as JSON: see docs/identity.md"
    )
    encryption_key: str = _setting(
        "LAURELS_ENCRYPTION_KEY",
        "",
        "encrypts the signing secrets of API keys in the ledger; 32 random characters or more",
        secret=True,
    )
    key_rate: int = _setting(
        "LAURELS_KEY_RATE", 60_000, "actions and requests per minute and API key", low=1, high=10_000_000
    )
    address_rate: int = _setting(
        "LAURELS_ADDRESS_RATE", 6_000, "requests per minute and address", low=1, high=10_000_000
    )
    probe_rate: int = _setting(
        "LAURELS_PROBE_RATE",
        6_000,
        "health checks per minute and address on the public port; a scrape of metrics counts ten",
        low=10,
        high=10_000_000,
    )
    login_rate: int = _setting(
        "LAURELS_LOGIN_RATE", 30, "registrations and log-ins per minute and address", low=1, high=10_000_000
    )
    hold_user_rate: int = _setting(
        "LAURELS_HOLD_USER_RATE",
        300,
        "actions of one type per minute and user, beyond which they are held for review; 0: never",
        low=0,
        high=1_000_000_000,
    )
    hold_address_rate: int = _setting(
        "LAURELS_HOLD_ADDRESS_RATE",
        10_000,
        "actions per minute and address, beyond which they are held for review; 0: never",
        low=0,
        high=1_000_000_000,
    )
    account_rate: int = _setting(
        "LAURELS_ACCOUNT_RATE", 10, "failed log-ins per minute and account", low=1, high=10_000_000
    )
    network_rate: int = _setting(
        "LAURELS_NETWORK_RATE",
        120,
        "failed log-ins per minute and network (/24, /48), from addresses new to the account",
        low=1,
        high=10_000_000,
    )
    failure_rate: int = _setting(
        "LAURELS_FAILURE_RATE",
        600,
        "failed log-ins per minute in all, beyond which each costs its account more",
        low=1,
        high=10_000_000,
    )
    snapshot_seconds: int = _setting(
        "LAURELS_SNAPSHOT_SECONDS", 300, "seconds between two snapshots; 0: never", low=0, high=86_400
    )
    verify_seconds: int = _setting(
        "LAURELS_VERIFY_SECONDS", 30, "seconds between two drift samples; 0: never", low=0, high=86_400
    )
    frames_per_second: int = _setting("LAURELS_FRAMES_PER_SECOND", 10, "live frames a second and board", low=1, high=60)
    sockets_per_address: int = _setting(
        "LAURELS_SOCKETS_PER_ADDRESS", 100, "live sockets per address", low=1, high=1_000_000
    )
    sockets_per_user: int = _setting("LAURELS_SOCKETS_PER_USER", 10, "live sockets per user", low=1, high=1_000_000)
    drain_seconds: int = _setting(
        "LAURELS_DRAIN_SECONDS", 5, "seconds over which a stopping node closes its live sockets", low=0, high=300
    )
    sockets: int = _setting("LAURELS_SOCKETS", 20_000, "live sockets in all", low=1, high=1_000_000)
    origins: str = _setting(
        "LAURELS_ORIGINS", "", "pages of other sites that may call the API: https://a.example,https://b.example, or *"
    )
    reserved_names: str = _setting(
        "LAURELS_RESERVED_NAMES",
        "admin,administrator,moderator,staff,support,system,laurels",
        "names that players can't take, nor similar ones; separated by commas",
    )
    admin_password: str = _setting(
        "LAURELS_ADMIN_PASSWORD",
        "",
        "password of the first admin of an empty ledger; empty: generated, shown on the terminal or in LAURELS_DATA",
        secret=True,
    )
    samples: bool = _setting("LAURELS_SAMPLES", True, "add sample action types to an empty ledger")

    @property
    def allowed_origins(self) -> list[str]:
        """The origins in LAURELS_ORIGINS."""
        return [origin for origin in (one.strip() for one in self.origins.split(",")) if origin]

    @property
    def reserved(self) -> list[str]:
        """The names in LAURELS_RESERVED_NAMES."""
        return [name.strip() for name in self.reserved_names.split(",") if name.strip()]

    @property
    def replicas(self) -> list[str]:
        """The addresses in REPLICA_URLS."""
        return [url.strip() for url in self.replica_urls.split(",") if url.strip()]

    @property
    def url(self) -> str:
        """The URL at which a client on this machine reaches the node."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104  compared, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings from `environment` (os.environ by default). Raises ConfigError."""
    source = without_service_links(os.environ if environment is None else environment)
    _refuse_unknown(source)
    values: dict[str, Any] = {}
    for item in fields(Settings):
        raw = _raw(source, item.metadata["env"])
        if raw is not None:
            values[item.name] = _convert(item.metadata, raw, type(item.default))
    return _checked(Settings(**values))


def unused(environment: Mapping[str, str] | None = None) -> list[str]:
    """Return a line for the log for each variable that has a setting's name but describes a Kubernetes service."""
    source = os.environ if environment is None else environment
    return [
        f"{name}={source[name]} describes a service to its neighbours and is ignored as a setting "
        "(Kubernetes: enableServiceLinks: false)"
        for item in fields(Settings)
        if (name := item.metadata["env"]) in source and is_service_link(name, source[name])
    ]


def describe(settings: Settings) -> list[tuple[str, str, str]]:
    """Return (variable, value in force, help) of every setting, without secrets and passwords in addresses."""
    rows = []
    for item in fields(Settings):
        value = str(getattr(settings, item.name))
        if item.metadata["secret"] and value:
            value = "…"
        rows.append((item.metadata["env"], _without_passwords(value), item.metadata["help"]))
    return rows


def _refuse_unknown(source: Mapping[str, str]) -> None:
    known = {item.metadata["env"] for item in fields(Settings)}
    known |= {f"{name}_FILE" for name in known} | CLIENT_NAMES
    unknown = sorted(name for name in source if name.startswith("LAURELS_") and name not in known)
    if unknown:
        name = unknown[0]
        raise ConfigError(f"unknown setting {name}.{nearest(name, sorted(known))} `laurels config` lists all settings")


def _raw(source: Mapping[str, str], env: str) -> str | None:
    path = source.get(f"{env}_FILE")
    if path is None:
        return source.get(env)
    if env in source:
        raise ConfigError(f"{env} and {env}_FILE are both set: use one")
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise ConfigError(f"{env}_FILE: can't read {path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{env}_FILE: {path} is not a text file") from error


def _checked(settings: Settings) -> Settings:
    """Check settings against each other; return them. Raises ConfigError."""
    if settings.lanes > settings.pool_size - SPARE_CONNECTIONS:
        raise ConfigError(
            f"LAURELS_LANES must be at most LAURELS_POOL_SIZE - {SPARE_CONNECTIONS}, so that reads find a connection"
        )
    for origin in settings.allowed_origins:
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            raise ConfigError(f"LAURELS_ORIGINS: {origin!r} is not an origin, such as https://example.org, or *")
    try:
        parse_issuers(settings.issuers)
    except ValueError as error:
        raise ConfigError(f"LAURELS_ISSUERS: {error}") from error
    if settings.encryption_key and len(settings.encryption_key) < MIN_ENCRYPTION_KEY:
        raise ConfigError(
            f"LAURELS_ENCRYPTION_KEY must have at least {MIN_ENCRYPTION_KEY} characters: try `openssl rand -base64 32`"
        )
    if settings.admin_password and len(settings.admin_password) not in PASSWORD_LENGTH:
        raise ConfigError("LAURELS_ADMIN_PASSWORD must have 10 to 256 characters")
    if not settings.database_url and settings.pool_size > EMBEDDED_POOL:
        raise ConfigError(f"LAURELS_POOL_SIZE must be at most {EMBEDDED_POOL} without DATABASE_URL")
    if settings.metrics_private and not settings.metrics_port and settings.workers == 1:
        raise ConfigError("LAURELS_METRICS_PRIVATE needs LAURELS_METRICS_PORT, or no port would serve metrics")
    _check_scaling(settings)
    return settings


def _check_scaling(settings: Settings) -> None:
    """Check what several processes or database servers need. Raises ConfigError."""
    if settings.workers > 1 and not settings.redis_url:
        raise ConfigError(
            "LAURELS_WORKERS above 1 needs REDIS_URL: processes share ranks, limits and live updates through it"
        )
    if settings.workers > 1 and not settings.database_url:
        raise ConfigError("LAURELS_WORKERS above 1 needs DATABASE_URL: the embedded PostgreSQL belongs to one process")
    if settings.workers > 1 and settings.port > 65535 - settings.workers:
        raise ConfigError("LAURELS_PORT is too high: each worker has the next port for its metrics")
    if settings.replica_urls and not settings.database_url:
        raise ConfigError("REPLICA_URLS needs DATABASE_URL: the embedded PostgreSQL has no replicas")


def _convert(metadata: Mapping[str, Any], raw: str, kind: type) -> object:
    env = metadata["env"]
    if kind is bool:
        lowered = raw.strip().lower()
        if lowered not in ("1", "0", "true", "false", "yes", "no", "on", "off"):
            raise ConfigError(f"{env} must be true or false, not {raw!r}")
        return lowered in ("1", "true", "yes", "on")
    if kind is int:
        return _whole_number(metadata, raw)
    if env == "LAURELS_LOG_LEVEL" and raw.lower() not in ("debug", "info", "warning", "error"):
        raise ConfigError(f"{env} must be debug, info, warning or error, not {raw!r}")
    if env == "LAURELS_ROLE" and raw not in ROLES:
        raise ConfigError(f"LAURELS_ROLE must be api, live, worker or all, not {raw!r}")
    if env == "LAURELS_FORWARDED_HEADER" and raw not in HEADERS:
        raise ConfigError(f"{env} must be {', '.join(HEADERS[:-1])} or {HEADERS[-1]}, not {raw!r}")
    if not raw.strip() and env not in MAY_BE_EMPTY:
        raise ConfigError(f"{env} must not be empty: leave it unset for the default")
    return Path(raw) if issubclass(kind, Path) else raw


def _whole_number(metadata: Mapping[str, Any], raw: str) -> int:
    env, low, high = metadata["env"], metadata["low"], metadata["high"]
    try:
        value = int(raw)
    except ValueError as error:
        raise ConfigError(f"{env} must be a whole number, not {raw!r}") from error
    if not low <= value <= high:
        raise ConfigError(f"{env} must be between {low} and {high}, not {value}")
    return value


def _without_passwords(value: str) -> str:
    """Hide the passwords in one address or in several separated by commas; a password may contain commas."""
    return ",".join(map(_without_password, _ADDRESSES.split(value)))


def _without_password(value: str) -> str:
    scheme, separator, rest = value.partition("://")
    credentials, at, place = rest.rpartition("@")
    if at and ":" in credentials:
        value = f"{scheme}{separator}{credentials.split(':', 1)[0]}:…@{place}"
    return _SECRET_PARAMETER.sub(r"\1…", value)
