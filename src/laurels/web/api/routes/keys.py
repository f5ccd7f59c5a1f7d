"""API keys of servers."""

from __future__ import annotations

from ....domain.errors import Code
from ...http.call import Route
from ..handlers import keys
from ..wire.fields import ListQuery
from ..wire.keys import CreateKey, Key, KeyQuery, Keys, NewKey, RevokeKey, RotateKey
from .codes import LEDGER_AWAY

KEYS: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/admin/keys",
        handler=keys.list_keys,
        tag="Admin: API keys",
        summary="All API keys, revoked ones included, without their secrets",
        access="admin",
        limit="user",
        params=ListQuery,
        replies={200: Keys},
        problems=LEDGER_AWAY,
    ),
    Route(
        method="POST",
        path="/api/admin/keys",
        handler=keys.create_key,
        tag="Admin: API keys",
        summary="Make an API key; it is shown once",
        access="admin",
        scope="keys:write",
        limit="user",
        body=CreateKey,
        replies={201: NewKey},
        problems=(Code.TOO_MANY_KEYS, *LEDGER_AWAY),
    ),
    Route(
        method="POST",
        path="/api/admin/keys/{id}/rotate",
        handler=keys.rotate_key,
        tag="Admin: API keys",
        summary="Give a key a new secret; the old one stays good for a while",
        description="At most two secrets of a key are good at once: those before the last rotation end at the next.",
        access="admin",
        scope="keys:write",
        limit="user",
        params=KeyQuery,
        body=RotateKey,
        replies={200: NewKey},
        problems=(Code.KEY_UNKNOWN, *LEDGER_AWAY),
    ),
    Route(
        method="POST",
        path="/api/admin/keys/{id}/revoke",
        handler=keys.revoke_key,
        tag="Admin: API keys",
        summary="End a key for good, within a second on every node",
        access="admin",
        scope="keys:write",
        limit="user",
        params=KeyQuery,
        body=RevokeKey,
        replies={200: Key},
        problems=(Code.KEY_UNKNOWN, *LEDGER_AWAY),
    ),
)
