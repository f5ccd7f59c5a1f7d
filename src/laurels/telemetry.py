"""Every metric, declared once, and the set-up of logs.

Logs are readable text on a terminal and ECS JSON otherwise, one document per line. `event.id` is unique, so that a
shipper may send a line twice; `trace.id` is the request id that the client was sent.
"""

from __future__ import annotations

import itertools
import logging
import secrets
import sys
from collections.abc import MutableMapping
from typing import Any

import ecs_logging
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()

_LATENCY = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)

REQUESTS = Counter("laurels_requests", "HTTP requests, by route and status.", ["route", "status"], registry=REGISTRY)
REQUEST_SECONDS = Histogram(
    "laurels_request_duration_seconds",
    "Time from a request's head to its answer, by route.",
    ["route"],
    buckets=_LATENCY,
    registry=REGISTRY,
)
REFUSALS = Counter(
    "laurels_refusals", "Refused requests and items of batches, by error code.", ["code"], registry=REGISTRY
)
LOGIN_THROTTLED = Counter(
    "laurels_login_throttled",
    "Log-ins refused because too many of the account or its network had failed, by policy.",
    ["policy"],
    registry=REGISTRY,
)
LIMITS_SHARED = Gauge(
    "laurels_rate_limits_shared", "1 while rates are counted over all nodes, 0 while by each alone.", registry=REGISTRY
)
READY = Gauge("laurels_ready", "1 while the node serves; /readyz says why it does not.", registry=REGISTRY)

BATCH_ACTIONS = Histogram(
    "laurels_batch_actions",
    "Actions per commit.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000),
    registry=REGISTRY,
)
BATCH_SECONDS = Histogram(
    "laurels_batch_duration_seconds",
    "Time from the start of a batch to the answers of its callers.",
    buckets=_LATENCY,
    registry=REGISTRY,
)
QUEUE_SECONDS = Histogram(
    "laurels_queue_wait_seconds",
    "Time that the oldest action of a batch waited for a lane.",
    buckets=_LATENCY,
    registry=REGISTRY,
)
QUEUE_DEPTH = Gauge("laurels_queue_depth", "Actions that wait for a lane.", registry=REGISTRY)
JOURNAL_LAG = Gauge(
    "laurels_journal_lag_seconds",
    "Age of the newest commit of another process when this one applied it.",
    registry=REGISTRY,
)
READS = Counter(
    "laurels_ledger_reads", "Reads of the ledger, by the kind of server that answered.", ["server"], registry=REGISTRY
)
REPLICA_LAG = Gauge(
    "laurels_replica_lag_bytes",
    "WAL that a replica had not replayed when last polled.",
    ["replica"],
    registry=REGISTRY,
)
CHORE_FAILURES = Counter(
    "laurels_chore_failures",
    "Failed runs of background work, by chore and kind of failure. Each is retried.",
    ["chore", "kind"],
    registry=REGISTRY,
)

INDEX_MEMBERS = Gauge("laurels_index_members", "Standings in the index, by board.", ["board"], registry=REGISTRY)
INDEX_DRIFT = Gauge(
    "laurels_index_drift", "Standings in which index and ledger differed in the last sample.", registry=REGISTRY
)
INDEX_TRUSTED = Gauge(
    "laurels_index_trusted",
    "1 while ranks come from the index in Redis, 0 while they are counted in the ledger.",
    registry=REGISTRY,
)
INDEX_BUILT = Gauge(
    "laurels_index_built_ratio",
    "Share of a window of the index in Redis that this node has built, by board.",
    ["board"],
    registry=REGISTRY,
)
INDEX_REBUILD_CONFLICTS = Counter(
    "laurels_index_rebuild_conflicts",
    "Rebuilds that replaced another node's copy, which had replaced this node's own.",
    registry=REGISTRY,
)
INDEX_REPAIRED_BATCHES = Counter(
    "laurels_index_repaired_batches",
    "Batches applied to the index in Redis late, or by another node than the one that committed them.",
    registry=REGISTRY,
)
INDEX_FALLBACK_READS = Counter(
    "laurels_index_fallback_reads",
    "Reads of ranks that were counted in the ledger instead of read from the index in Redis.",
    registry=REGISTRY,
)

CACHE = Counter(
    "laurels_cache_requests",
    "Reads of a cache, by outcome: hit, joined (a load in flight), stale or miss.",
    ["cache", "outcome"],
    registry=REGISTRY,
)
CACHE_INVALIDATED = Counter(
    "laurels_cache_invalidated_entries", "Entries of a cache dropped by an invalidation.", ["cache"], registry=REGISTRY
)
BREAKER_STATE = Gauge(
    "laurels_breaker_state",
    "State of a circuit breaker: 0 closed (in use), 1 half-open (probed), 2 open (not called).",
    ["name"],
    registry=REGISTRY,
)
BREAKER_OPENED = Counter("laurels_breaker_opened", "Times that a circuit breaker opened.", ["name"], registry=REGISTRY)
BUS_UP = Gauge("laurels_bus_up", "1 while this node receives its own heartbeats through Redis.", registry=REGISTRY)
BUS_LAG = Gauge("laurels_bus_lag_seconds", "Time that the last heartbeat took through Redis.", registry=REGISTRY)
BUS_MESSAGES = Counter(
    "laurels_bus_messages",
    "Messages between nodes, by direction: sent, received, or malformed (received and not understood).",
    ["direction"],
    registry=REGISTRY,
)
BUS_DROPPED = Counter(
    "laurels_bus_messages_dropped",
    "Messages not sent because too many waited; other nodes find the change in the journal.",
    registry=REGISTRY,
)

SOCKETS = Gauge("laurels_live_sockets", "Open live connections: WebSocket and SSE.", registry=REGISTRY)
SOCKETS_CLOSED = Counter(
    "laurels_live_sockets_closed", "Closed live connections, by close code.", ["code"], registry=REGISTRY
)
SLOW_SOCKETS = Gauge("laurels_live_slow_sockets", "Live connections whose client reads too slowly.", registry=REGISTRY)
BUFFERED_BYTES = Gauge(
    "laurels_live_buffered_bytes", "Bytes that wait in this process for slow clients.", registry=REGISTRY
)
HANDSHAKES = Counter(
    "laurels_live_handshakes", "Requests for a live connection, by outcome.", ["outcome"], registry=REGISTRY
)
RESUMES = Counter(
    "laurels_live_resumes",
    "Subscriptions to a board, by what the client was sent: first, current, delta or snapshot.",
    ["outcome"],
    registry=REGISTRY,
)
FRAMES = Counter("laurels_live_frames_sent", "Frames written to live connections.", registry=REGISTRY)
FRAMES_IN = Counter("laurels_live_frames_received", "Frames of clients, by type.", ["type"], registry=REGISTRY)
FRAMES_CONFLATED = Counter(
    "laurels_live_frames_conflated",
    "Frames that a slow client was not sent, because a newer one replaced them.",
    registry=REGISTRY,
)
LIVE_BROADCAST_SECONDS = Histogram(
    "laurels_live_broadcast_seconds",
    "Time from a change of a board to the last connection that was sent it.",
    buckets=_LATENCY,
    registry=REGISTRY,
)


_PROCESS = secrets.token_hex(8)
_lines = itertools.count(1)
_ECS_NAMES = {
    "request_id": "trace.id",
    "method": "http.request.method",
    "route": "http.route",
    "status": "http.response.status_code",
    "logger": "log.logger",
    "exception": "error.stack_trace",
}
_ECS_OWN = frozenset(("event", "timestamp"))
"""Members that the formatter names itself."""


def ecs(_: object, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Rename the members of a log line to the Elastic Common Schema; those without a name there go below `laurels`."""
    named: dict[str, Any] = {
        "event.id": f"{_PROCESS}-{next(_lines)}",
        "event.dataset": "laurels.node",
        "service.name": "laurels",
    }
    for name, value in line.items():
        if name == "milliseconds":
            named["event.duration"] = round(value * 1_000_000)  # nanoseconds
        elif name == "level":
            continue  # the formatter adds it as log.level
        elif name in _ECS_OWN or name.startswith("_") or "." in name:
            named[name] = value
        else:
            named[_ECS_NAMES.get(name, f"laurels.{name}")] = value
    return named


def configure_logs(*, level: str, pretty: bool | None = None) -> None:
    """Send structlog and the standard library's loggers to standard error in one format.

    With `pretty` None, standard error being a terminal decides.
    """
    numeric = logging.getLevelNamesMapping()[level.upper()]
    to_terminal = sys.stderr.isatty() if pretty is None else pretty
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
    ]
    if to_terminal:
        shared.append(structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False))
        shared.append(structlog.processors.format_exc_info)
        renderer: structlog.typing.Processor = structlog.dev.ConsoleRenderer()
    else:
        shared += [structlog.processors.format_exc_info, ecs]
        renderer = ecs_logging.StructlogFormatter()  # type: ignore[assignment]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(numeric)
    for noisy in ("asyncio", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(max(numeric, logging.WARNING))
