"""Liveness, readiness, metrics, and verification and rebuild of the index."""

from __future__ import annotations

import msgspec
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from ... import telemetry
from ...app.admin_context import AdminContext
from ...app.proof import compare_index
from ..context import HealthContext, IndexContext
from ..http.responses import Reply, encode
from ..pipeline.call import Call
from ..pipeline.route import Route
from .codes import RANKS_AWAY


class Liveness(msgspec.Struct, frozen=True):
    alive: bool = True


class Readiness(msgspec.Struct, frozen=True):
    """`missing`: why the node does not serve. `degraded`: what it serves without for now. Both are sentences."""

    ready: bool
    missing: list[str]
    degraded: list[str]


class WindowReport(msgspec.Struct, frozen=True):
    board: str
    standings: int
    drift: int


class IndexReport(msgspec.Struct, frozen=True):
    """`drift`: the number of standings in which index and ledger differ."""

    windows: list[WindowReport]


async def livez(_: Call) -> Liveness:
    """Reply that the process runs."""
    return Liveness()


async def readyz(health: HealthContext, _: Call) -> Reply:
    """Reply whether the node serves: 200, or 503 with the reasons."""
    missing = health.missing()
    return Reply(encode(Readiness(not missing, missing, health.degraded())), 503 if missing else 200)


async def metrics(_: Call) -> Reply:
    """Reply with every metric in the format of Prometheus."""
    return Reply(generate_latest(telemetry.REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def verify_index(context: AdminContext, index: IndexContext, _: Call) -> IndexReport:
    """Compare every open window of this node's index with the ledger."""
    return await _compare(context, index)


async def _compare(context: AdminContext, index: IndexContext) -> IndexReport:
    windows = await compare_index(context, index.index)
    telemetry.INDEX_DRIFT.set(sum(window.drift for window in windows))
    return IndexReport([WindowReport(window.board, window.members, window.drift) for window in windows])


async def rebuild_index(context: AdminContext, index: IndexContext, _: Call) -> IndexReport:
    """Build this node's index again from the ledger, beside live writes, then compare."""
    await index.projection.rebuild()
    return await _compare(context, index)


METRICS_WEIGHT = 10
"""Encoding all metrics takes milliseconds; a liveness check takes tens of microseconds."""

HEALTH: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/livez",
        handler=livez,
        tag="Operations",
        summary="Check that the process runs",
        limit="probe",
        replies={200: Liveness},
    ),
    Route(
        method="GET",
        path="/readyz",
        handler=readyz,
        tag="Operations",
        summary="Check that the node serves, or get the reasons why not",
        limit="probe",
        replies={200: Readiness, 503: Readiness},
    ),
    Route(
        method="GET",
        path="/metrics",
        handler=metrics,
        tag="Operations",
        summary="Get metrics in the format of Prometheus",
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
