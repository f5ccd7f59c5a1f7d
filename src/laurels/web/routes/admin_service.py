"""The audit trail, settings and live numbers, for operators."""

from __future__ import annotations

from ..call import Route
from ..handlers import admin_service as handlers
from ..wire.admin_service import AuditQuery, AuditTrail
from .codes import LEDGER_AWAY

_TAG = "Admin: service"

ADMIN_SERVICE: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/admin/audit",
        handler=handlers.list_audit,
        tag=_TAG,
        summary="Who changed what by hand, and why",
        description="Newest first. The trail is append only, and keeps ids, never names.",
        access="admin",
        limit="user",
        params=AuditQuery,
        replies={200: AuditTrail},
        problems=LEDGER_AWAY,
    ),
)
