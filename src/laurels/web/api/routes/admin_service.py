"""The audit trail, settings and live numbers, for operators."""

from __future__ import annotations

from ...http.call import Route
from ..handlers import admin_service as handlers
from ..wire.admin_service import AuditQuery, AuditTrail, EditSettings, LiveSettingsList, Stats
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
    Route(
        method="GET",
        path="/api/admin/settings",
        handler=handlers.list_settings,
        tag=_TAG,
        summary="Settings that may change while nodes run",
        access="admin",
        limit="user",
        replies={200: LiveSettingsList},
    ),
    Route(
        method="PATCH",
        path="/api/admin/settings",
        handler=handlers.edit_settings,
        tag=_TAG,
        summary="Change settings on every node",
        description=(
            "Followed within a second. Members left out stay as they are, null takes an override back: the "
            "environment of each node counts again. Of two who change the same setting the later one wins."
        ),
        access="admin",
        scope="settings:write",
        limit="user",
        body=EditSettings,
        replies={200: LiveSettingsList},
        problems=LEDGER_AWAY,
    ),
    Route(
        method="GET",
        path="/api/admin/stats",
        handler=handlers.get_stats,
        tag=_TAG,
        summary="This node's live numbers",
        access="moderator",
        limit="user",
        replies={200: Stats},
    ),
)
