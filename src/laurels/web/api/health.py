"""Liveness, readiness, metrics, and verification and rebuild of the index."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from ... import telemetry
from ...ranking.verify import compare
from ..http.responses import Reply, encode
from ..pipeline.call import Call
from ..pipeline.route import Route
from .codes import RANKS_AWAY


class Liveness(msgspec.Struct, frozen=True):
    alive: bool = True


class Readiness(msgspec.Struct, frozen=True):
    """`missing` names, in words, what keeps the node from serving; `degraded`, what it serves without for now."""

    ready: bool
    missing: list[str]
    degraded: list[str]


class WindowReport(msgspec.Struct, frozen=True):
    board: str
    standings: int
    drift: int


class IndexReport(msgspec.Struct, frozen=True):
    """`drift` counts standings that index and ledger hold differently."""

    windows: list[WindowReport]


async def livez(_: Call) -> Liveness:
    return Liveness()


async def readyz(call: Call) -> Reply:
    missing = call.services.missing()
    return Reply(encode(Readiness(not missing, missing, call.services.degraded())), 503 if missing else 200)


async def metrics(_: Call) -> Reply:
    return Reply(generate_latest(telemetry.REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def verify_index(call: Call) -> IndexReport:
    """Compares every open window of this node's index with the ledger."""
    services = call.services
    reports = []
    for window in await services.catalogue.windows_at(datetime.now(UTC)):
        drift = await compare(services.index, services.pool, window)
        reports.append(WindowReport(window.board.slug, await services.index.count(window), drift))
    telemetry.INDEX_DRIFT.set(sum(report.drift for report in reports))
    return IndexReport(reports)


async def rebuild_index(call: Call) -> IndexReport:
    """Builds this node's index anew from the ledger, beside live writes, then compares."""
    await call.services.projection.rebuild()
    return await verify_index(call)


METRICS_WEIGHT = 10
"""Writing all metrics out takes milliseconds, where liveness takes tens of microseconds."""

HEALTH: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/livez",
        handler=livez,
        tag="Operations",
        summary="The process answers",
        limit="probe",
        replies={200: Liveness},
    ),
    Route(
        method="GET",
        path="/readyz",
        handler=readyz,
        tag="Operations",
        summary="The node serves, or what is missing",
        limit="probe",
        replies={200: Readiness, 503: Readiness},
    ),
    Route(
        method="GET",
        path="/metrics",
        handler=metrics,
        tag="Operations",
        summary="Prometheus metrics",
        limit="probe",
        weight=METRICS_WEIGHT,
        replies={200: None},
        media="text/plain",
    ),
    Route(
        method="POST",
        path="/api/admin/index/verify",
        handler=verify_index,
        tag="Operations",
        summary="Compare this node's index with the ledger",
        access="admin",
        scope="index:write",
        limit="user",
        replies={200: IndexReport},
        problems=RANKS_AWAY,
    ),
    Route(
        method="POST",
        path="/api/admin/index/rebuild",
        handler=rebuild_index,
        tag="Operations",
        summary="Rebuild this node's index from the ledger",
        access="admin",
        scope="index:write",
        limit="user",
        replies={200: IndexReport},
        problems=RANKS_AWAY,
    ),
)
