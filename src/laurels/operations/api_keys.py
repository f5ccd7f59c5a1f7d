"""API keys of servers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import uuid4

from ..config import Settings
from ..database import database
from ..domain.authorization import Scope
from ..ledger.accounts.api_keys import ApiKeys, KeyDescription
from ..ledger.db.paging import MAX_PAGE
from ..web.api.keys import CreateKey
from ..web.auth.keyring import FreshSecret
from ..web.auth.secret_box import SecretBox
from .changes import changing
from .explaining import check_request
from .operator import operator

NewApiKey = tuple[KeyDescription, str, str]
"""The key, and what is shown once: the key's text, and the secret that signs bodies."""


async def list_api_keys(settings: Settings) -> list[KeyDescription]:
    found: list[KeyDescription] = []
    async with database(settings) as pool:
        store = ApiKeys(pool, uuid4())
        page = await store.newest(None, MAX_PAGE)
        found += page.rows
        while page.next is not None:
            page = await store.newest(page.next, MAX_PAGE)
            found += page.rows
    return found


async def create_api_key(settings: Settings, name: str, scopes: Sequence[Scope]) -> NewApiKey:
    """Raises NotDone for what the API would not take either."""
    check_request(CreateKey, {"name": name, "scopes": list(scopes)})
    fresh = FreshSecret.generate()
    async with changing(settings) as pool:
        key = await ApiKeys(pool, uuid4()).create(
            name, scopes, fresh.stored(SecretBox(settings.encryption_key)), operator()
        )
    return key, fresh.key(key.id), fresh.signing


async def rotate_api_key(settings: Settings, key_id: int, overlap: timedelta, reason: str | None) -> NewApiKey:
    fresh = FreshSecret.generate()
    async with changing(settings) as pool:
        key = await ApiKeys(pool, uuid4()).rotate(
            key_id, fresh.stored(SecretBox(settings.encryption_key)), overlap, operator(), reason
        )
    return key, fresh.key(key.id), fresh.signing


async def revoke_api_key(settings: Settings, key_id: int, reason: str | None) -> KeyDescription:
    async with changing(settings) as pool:
        return await ApiKeys(pool, uuid4()).revoke(key_id, operator(), reason)
