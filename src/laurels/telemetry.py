"""Every metric, declared once, and the set-up of logs. Imports nothing of ours.

Logs are pretty on a terminal and ECS JSON otherwise, one document a line: `event.id` is unique, so that a shipper may
send a line twice, and `trace.id` is the request id that the client was told.
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

REQUESTS = Counter("laurels_requests", "Requests by route and status.", ["route", "status"], registry=REGISTRY)
REQUEST_SECONDS = Histogram(
    "laurels_request_seconds", "Time to answer, by route.", ["route"], buckets=_LATENCY, registry=REGISTRY
)
LOGIN_THROTTLED = Counter(
    "laurels_login_throttled",
    "Log-ins refused for too many failures before: of the account, or of the network.",
    ["policy"],
    registry=REGISTRY,
)
REFUSALS = Counter("laurels_refusals", "Refusals by code, per item.", ["code"], registry=REGISTRY)
BATCH_ACTIONS = Histogram(
    "laurels_batch_actions",
    "Actions per commit.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000),
    registry=REGISTRY,
)
BATCH_SECONDS = Histogram(
    "laurels_batch_seconds", "Time from taking a batch to its answers.", buckets=_LATENCY, registry=REGISTRY
)
QUEUE_SECONDS = Histogram(
    "laurels_queue_seconds", "Longest wait in the queue, per batch.", buckets=_LATENCY, registry=REGISTRY
)
CHORE_FAILURES = Counter(
    "laurels_chore_failures",
    "Failed tries of background work, by chore and kind of failure. Each is tried again.",
    ["chore", "kind"],
    registry=REGISTRY,
)
QUEUE_DEPTH = Gauge("laurels_queue_depth", "Actions waiting for a lane.", registry=REGISTRY)
INDEX_MEMBERS = Gauge("laurels_index_members", "Standings in the index, by board.", ["board"], registry=REGISTRY)
INDEX_DRIFT = Gauge(
    "laurels_index_drift", "Standings in which index and ledger disagreed at the last look.", registry=REGISTRY
)
INDEX_TRUSTED = Gauge(
    "laurels_index_trusted",
    "1 while ranks come from the shared index, 0 while the ledger is counted.",
    registry=REGISTRY,
)
INDEX_BUILT = Gauge(
    "laurels_index_built_ratio",
    "How much of a window of the shared index this node has built.",
    ["board"],
    registry=REGISTRY,
)
INDEX_REBUILD_CONFLICTS = Counter(
    "laurels_index_rebuild_conflicts",
    "Copies of the index that this node built in the place of another node's, which had replaced its own.",
    registry=REGISTRY,
)
INDEX_REPAIRED_BATCHES = Counter(
    "laurels_index_repaired_batches",
    "Batches brought to the shared index by another than their node, or later.",
    registry=REGISTRY,
)
INDEX_FALLBACK_READS = Counter(
    "laurels_index_fallback_reads",
    "Questions answered by counting in the ledger instead of by the index.",
    registry=REGISTRY,
)
JOURNAL_LAG = Gauge(
    "laurels_journal_lag_seconds",
    "Age of the newest commit of another process when it was projected.",
    registry=REGISTRY,
)
CACHE = Counter(
    "laurels_cache",
    "Questions to a cache: hit, joined, stale, miss; entries forgotten.",
    ["cache", "outcome"],
    registry=REGISTRY,
)
READS = Counter("laurels_reads", "Reads of the ledger, by the server that answered.", ["server"], registry=REGISTRY)
REPLICA_LAG = Gauge(
    "laurels_replica_lag_bytes", "Log that a replica has not replayed at the last look.", ["replica"], registry=REGISTRY
)
BUS_UP = Gauge("laurels_bus_up", "1 while this node hears its own beat through Redis.", registry=REGISTRY)
BUS_LAG = Gauge("laurels_bus_lag_seconds", "How long the last beat took through Redis.", registry=REGISTRY)
BUS_MESSAGES = Counter(
    "laurels_bus_messages", "Messages between nodes: sent, heard, malformed.", ["direction"], registry=REGISTRY
)
BUS_DROPPED = Counter("laurels_bus_dropped", "Messages left to the journal.", registry=REGISTRY)
LIMITS_SHARED = Gauge("laurels_limits_shared", "1 while rates are counted over all nodes.", registry=REGISTRY)
SOCKETS = Gauge("laurels_live_sockets", "Open live sockets.", registry=REGISTRY)
SOCKETS_CLOSED = Counter("laurels_live_sockets_closed", "Live sockets closed, by code.", ["code"], registry=REGISTRY)
HANDSHAKES = Counter(
    "laurels_live_handshakes", "Asked for a live socket or stream, by how it went.", ["outcome"], registry=REGISTRY
)
RESUMES = Counter(
    "laurels_live_resumes",
    "Boards that a viewer began to follow: first, or come back with what it had (current, delta, snapshot).",
    ["outcome"],
    registry=REGISTRY,
)
SLOW_SOCKETS = Gauge("laurels_live_slow_sockets", "Live sockets that read too slowly just now.", registry=REGISTRY)
BUFFERED_BYTES = Gauge(
    "laurels_live_buffered_bytes", "Bytes that wait in this process for slow readers.", registry=REGISTRY
)
FRAMES_IN = Counter("laurels_live_frames_in", "Frames of clients, by type.", ["type"], registry=REGISTRY)
FRAMES = Counter("laurels_live_frames", "Frames written to live sockets.", registry=REGISTRY)
FRAMES_CONFLATED = Counter(
    "laurels_live_frames_conflated",
    "Frames a slow reader was not sent because a newer one followed.",
    registry=REGISTRY,
)
LIVE_BROADCAST_SECONDS = Histogram(
    "laurels_live_broadcast_seconds",
    "From a board's change being due to its last socket written.",
    buckets=_LATENCY,
    registry=REGISTRY,
)
BREAKER_STATE = Gauge(
    "laurels_breaker_state",
    "0 closed (in use), 1 half-open (being tried), 2 open (left alone).",
    ["name"],
    registry=REGISTRY,
)
BREAKER_OPENED = Counter("laurels_breaker_opened", "Times a breaker opened.", ["name"], registry=REGISTRY)
READY = Gauge("laurels_ready", "1 when the node serves, 0 when /readyz says why not.", registry=REGISTRY)


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
"""What the formatter names by itself."""


def ecs(_: object, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Give every member its name in the Elastic Common Schema; what has none there goes below `laurels`."""
    named: dict[str, Any] = {
        "event.id": f"{_PROCESS}-{next(_lines)}",
        "event.dataset": "laurels.node",
        "service.name": "laurels",
    }
    for name, value in line.items():
        if name == "milliseconds":
            named["event.duration"] = round(value * 1_000_000)  # nanoseconds
        elif name == "level":
            continue  # the formatter says it, as log.level
        elif name in _ECS_OWN or name.startswith("_") or "." in name:
            named[name] = value
        else:
            named[_ECS_NAMES.get(name, f"laurels.{name}")] = value
    return named


def configure_logs(*, level: str, pretty: bool | None = None) -> None:
    """Send structlog and the standard library's loggers to standard error in one format.

    `pretty` None decides by whether standard error is a terminal.
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
