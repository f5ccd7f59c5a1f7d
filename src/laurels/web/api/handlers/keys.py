"""API keys: made, listed, rotated, revoked."""

from __future__ import annotations

from datetime import timedelta

from ....ledger.accounts.api_keys import KeyDescription
from ...auth.keyring import FreshSecret
from ...http.call import Call, Reply, json_reply
from ..wire.keys import Key, Keys, NewKey


async def list_keys(call: Call) -> Keys:
    found = await call.services.api_keys.newest(call.params.cursor, call.params.limit)
    return Keys([_key(key) for key in found.rows], found.next)


async def create_key(call: Call) -> Reply:
    """201 with the key, which nobody will see again."""
    fresh = FreshSecret.generate()
    made = await call.services.api_keys.create(
        call.body.name, call.body.scopes, fresh.stored(call.services.keyring.seal), call.actor
    )
    await call.services.keyring.refresh()
    return json_reply(_shown_once(made, fresh), 201)


async def rotate_key(call: Call) -> NewKey:
    """A new secret; the old one stays good for the overlap."""
    fresh, body = FreshSecret.generate(), call.body
    rotated = await call.services.api_keys.rotate(
        call.params.id,
        fresh.stored(call.services.keyring.seal),
        timedelta(seconds=body.overlap_seconds),
        call.actor,
        body.reason,
    )
    await call.services.keyring.refresh()
    return _shown_once(rotated, fresh)


async def revoke_key(call: Call) -> Key:
    revoked = await call.services.api_keys.revoke(call.params.id, call.actor, call.body.reason)
    await call.services.keyring.refresh()
    return _key(revoked)


def _shown_once(key: KeyDescription, fresh: FreshSecret) -> NewKey:
    return NewKey(_key(key), fresh.key(key.id), fresh.signing)


def _key(key: KeyDescription) -> Key:
    return Key(key.id, key.name, key.scopes, key.created_at, key.last_used_at, key.revoked_at, key.overlap_until)
