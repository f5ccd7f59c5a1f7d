"""For whoever runs the node."""

from __future__ import annotations

from ...http.call import Route
from ..handlers import operations
from ..wire.operations import IndexReport, Liveness, Readiness
from .codes import RANKS_AWAY

METRICS_WEIGHT = 10
"""Writing all metrics out takes milliseconds, where liveness takes tens of microseconds."""

OPERATIONS: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/livez",
        handler=operations.livez,
        tag="Operations",
        summary="The process answers",
        limit="probe",
        replies={200: Liveness},
    ),
    Route(
        method="GET",
        path="/readyz",
        handler=operations.readyz,
        tag="Operations",
        summary="The node serves, or what is missing",
        limit="probe",
        replies={200: Readiness, 503: Readiness},
    ),
    Route(
        method="GET",
        path="/metrics",
        handler=operations.metrics,
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
        handler=operations.verify_index,
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
        handler=operations.rebuild_index,
        tag="Operations",
        summary="Rebuild this node's index from the ledger",
        access="admin",
        scope="index:write",
        limit="user",
        replies={200: IndexReport},
        problems=RANKS_AWAY,
    ),
)
