"""The parts that the pipeline, live connections and health checks work with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ..app.context import ActionContext
from ..ledger.accounts.revocations import Revocations
from ..ledger.catalogue.catalogue import Catalogue
from ..ledger.write.throughput import Throughput
from ..ledger.write.writer import Writer
from ..live.hub import Hub
from ..ranking.index import HeldIndex
from ..ranking.memory_projection import MemoryProjection
from ..ranking.redis_index.projection import RedisProjection
from .auth.authenticate import Authenticator
from .http.forwarded import ForwardedHeader
from .http.origins import Origins
from .limits.rate_limit import RateLimit


@dataclass(frozen=True, slots=True)
class Limits:
    """Request rates: of a user, of an API key, of an address, of log-ins from an address, and of health checks."""

    user: RateLimit
    key: RateLimit
    address: RateLimit
    login: RateLimit
    probe: RateLimit


@dataclass(frozen=True, slots=True)
class PipelineOptions:
    """`slow_seconds`: a slower request is logged. `body_seconds`: the time in which a body must arrive."""

    trusted_proxies: int
    access_log: bool
    origins: Origins
    slow_seconds: float = 1.0
    body_seconds: float = 30.0
    forwarded_header: ForwardedHeader = "either"


@dataclass(frozen=True, slots=True)
class PipelineContext:
    """The parts that check a request before its handler is called.

    `wait_for_propagation` waits, for a bounded time, until every node has applied what is in the journal.
    """

    options: PipelineOptions
    limits: Limits
    authenticator: Authenticator
    wait_for_propagation: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class LiveContext:
    """The parts that live connections work with."""

    hub: Hub
    authenticator: Authenticator
    revocations: Revocations
    limits: Limits
    origins: Origins
    actions: ActionContext


@dataclass(frozen=True, slots=True)
class HealthContext:
    """The reasons why the node does not serve (`missing`), and the parts that it serves without (`degraded`)."""

    missing: Callable[[], list[str]]
    degraded: Callable[[], list[str]]


@dataclass(slots=True)
class NodeStatus:
    """The last results of background work, for operators."""

    journal_lag_seconds: float = 0.0
    """Age of the newest commit of another process when it was applied here."""
    index_drift: int = 0
    """Standings in which index and ledger differed in the last sample."""


@dataclass(frozen=True, slots=True)
class IndexContext:
    """The index of this node, and what rebuilds it."""

    index: HeldIndex
    projection: MemoryProjection | RedisProjection


@dataclass(frozen=True, slots=True)
class StatsContext:
    """The parts of this node whose numbers operators read."""

    throughput: Throughput
    status: NodeStatus
    writer: Writer
    hub: Hub
    projection: MemoryProjection | RedisProjection
    catalogue: Catalogue
