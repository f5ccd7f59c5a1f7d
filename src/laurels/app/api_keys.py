"""API keys of servers: create, list, rotate, revoke. A key's text is `lk_ID_SECRET`."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from ..domain.authorization import Scope
from ..ledger.accounts.api_keys import KeyDescription, Secret
from ..ledger.db.paging import Page
from ..ledger.events.audit import Actor
from .admin_context import AdminContext

PREFIX = "lk_"
SIGNING_PREFIX = "lks_"
SECRET_BYTES = 32


class Encryption(Protocol):
    """Encrypts what must be readable again, bound to the context in which it may be decrypted."""

    def encrypt(self, text: str, context: str) -> bytes: ...


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A key with what is shown once: its text, and the secret that signs bodies."""

    key: KeyDescription
    api_key: str
    signing_secret: str


@dataclass(frozen=True, slots=True)
class FreshSecret:
    """The secret half of a key, and the text that its holder signs bodies with."""

    secret: str
    signing: str

    @classmethod
    def generate(cls) -> FreshSecret:
        """Return a random secret."""
        return cls(secrets.token_urlsafe(SECRET_BYTES), SIGNING_PREFIX + secrets.token_urlsafe(SECRET_BYTES))

    def stored(self, encryption: Encryption) -> Secret:
        """Return what the ledger keeps: a hash, and the signing secret encrypted."""
        hashed = digest(self.secret)
        return Secret(hashed, encryption.encrypt(self.signing, hashed.hex()))

    def key(self, key_id: int) -> str:
        """Return the text of the key."""
        return f"{PREFIX}{key_id}_{self.secret}"

    def shown(self, key: KeyDescription) -> NewApiKey:
        """Return what the operator sees once."""
        return NewApiKey(key, self.key(key.id), self.signing)


async def list_api_keys(context: AdminContext, cursor: str | None, limit: int) -> Page[KeyDescription]:
    """Return a page of API keys, newest first, also of revoked ones."""
    return await context.api_keys.newest(cursor, limit)


async def create_api_key(
    context: AdminContext, encryption: Encryption, name: str, scopes: Sequence[Scope], actor: Actor
) -> NewApiKey:
    """Create an API key. Raises LaurelsError TOO_MANY_KEYS, or FORBIDDEN for scopes that the actor may not grant."""
    fresh = FreshSecret.generate()
    return fresh.shown(await context.api_keys.create(name, scopes, fresh.stored(encryption), actor))


async def rotate_api_key(
    context: AdminContext, encryption: Encryption, key_id: int, overlap: timedelta, actor: Actor, reason: str | None
) -> NewApiKey:
    """Give a key a new secret; the old one stays valid for `overlap`. Raises LaurelsError(NOT_FOUND)."""
    fresh = FreshSecret.generate()
    rotated = await context.api_keys.rotate(key_id, fresh.stored(encryption), overlap, actor, reason)
    return fresh.shown(rotated)


async def revoke_api_key(context: AdminContext, key_id: int, actor: Actor, reason: str | None) -> KeyDescription:
    """End a key permanently. Raises LaurelsError(NOT_FOUND)."""
    return await context.api_keys.revoke(key_id, actor, reason)


def digest(secret: str) -> bytes:
    """Return the hash under which the ledger keeps a secret. Secrets are random: one round of a fast hash is enough."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
