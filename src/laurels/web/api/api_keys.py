"""API keys of servers: create, list, rotate, revoke."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta

from ...app import api_keys
from ...app.admin_context import AdminContext
from ...app.api_keys import NewApiKey
from ...domain.authorization import SCOPES, Scope
from ...domain.errors import Code
from ...domain.standings import INT64_MAX
from ...ledger.accounts.api_keys import KeyDescription
from ..auth.keyring import Keyring
from ..fields import NO_CONTROLS, ListQuery, Reason, Request
from ..http.responses import Reply, json_reply
from ..pipeline.call import Call
from ..pipeline.route import Route
from .codes import LEDGER_AWAY

MAX_OVERLAP = 30 * 86_400

KeyId = Annotated[int, Meta(ge=1, le=INT64_MAX)]


class CreateKey(Request, frozen=True):
    name: Annotated[str, Meta(min_length=1, max_length=64, pattern=NO_CONTROLS, examples=["game server"])]
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=len(SCOPES))]


class RotateKey(Request, frozen=True):
    overlap_seconds: Annotated[
        int, Meta(ge=0, le=MAX_OVERLAP, description="Seconds for which the old secret stays valid")
    ] = 86_400
    reason: Reason | None = None


class RevokeKey(Request, frozen=True):
    reason: Reason | None = None


class KeyQuery(Request, frozen=True):
    id: KeyId


class Key(msgspec.Struct, frozen=True):
    """`last_used_at` is exact to some minutes. `overlap_until`: when the secret before the last rotation expires."""

    id: int
    name: str
    scopes: list[Scope]
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None
    overlap_until: datetime | None


class Keys(msgspec.Struct, frozen=True):
    """Newest first."""

    keys: list[Key]
    next: str | None


class NewKey(msgspec.Struct, frozen=True):
    """`api_key` and `signing_secret` are shown once."""

    key: Key
    api_key: str
    signing_secret: str


async def list_keys(context: AdminContext, call: Call) -> Keys:
    """Return a page of API keys, newest first."""
    found = await api_keys.list_api_keys(context, call.params.cursor, call.params.limit)
    return Keys([_key(key) for key in found.rows], found.next)


async def create_key(context: AdminContext, keyring: Keyring, call: Call) -> Reply:
    """Create an API key; reply 201 with its secrets, which are shown once."""
    body = call.body
    made = await api_keys.create_api_key(context, keyring.secret_box, body.name, body.scopes, call.actor)
    await keyring.refresh()
    return json_reply(_new_key(made), 201)


async def rotate_key(context: AdminContext, keyring: Keyring, call: Call) -> NewKey:
    """Give a key a new secret; the old one stays valid for the overlap."""
    body = call.body
    overlap = timedelta(seconds=body.overlap_seconds)
    rotated = await api_keys.rotate_api_key(
        context, keyring.secret_box, call.params.id, overlap, call.actor, body.reason
    )
    await keyring.refresh()
    return _new_key(rotated)


async def revoke_key(context: AdminContext, keyring: Keyring, call: Call) -> Key:
    """Revoke a key permanently."""
    revoked = await api_keys.revoke_api_key(context, call.params.id, call.actor, call.body.reason)
    await keyring.refresh()
    return _key(revoked)


def _new_key(made: NewApiKey) -> NewKey:
    return NewKey(_key(made.key), made.api_key, made.signing_secret)


def _key(key: KeyDescription) -> Key:
    return Key(key.id, key.name, key.scopes, key.created_at, key.last_used_at, key.revoked_at, key.overlap_until)


KEYS: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/admin/keys",
        handler=list_keys,
        tag="Admin: API keys",
        summary="List all API keys, including revoked ones, without their secrets",
        access="admin",
        limit="user",
        params=ListQuery,
        replies={200: Keys},
        problems=LEDGER_AWAY,
    ),
    Route(
        method="POST",
        path="/api/admin/keys",
        handler=create_key,
        tag="Admin: API keys",
        summary="Create an API key; it is shown once",
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
        handler=rotate_key,
        tag="Admin: API keys",
        summary="Give a key a new secret; the old one stays valid for a while",
        description="At most two secrets of a key are valid at once: a rotation ends all but the latest.",
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
        handler=revoke_key,
        tag="Admin: API keys",
        summary="Revoke a key permanently, within a second on every node",
        access="admin",
        scope="keys:write",
        limit="user",
        params=KeyQuery,
        body=RevokeKey,
        replies={200: Key},
        problems=(Code.KEY_UNKNOWN, *LEDGER_AWAY),
    ),
)
