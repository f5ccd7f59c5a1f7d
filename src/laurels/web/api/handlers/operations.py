"""For whoever runs the node: health, metrics, and the proof and repair of the index."""

from __future__ import annotations

from datetime import UTC, datetime

from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from .... import telemetry
from ....ranking.verify import compare
from ...http.call import Call, Reply, encode
from ..wire.operations import IndexReport, Liveness, Readiness, WindowReport


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
