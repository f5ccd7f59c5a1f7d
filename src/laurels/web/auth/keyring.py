"""API keys as presented (`lk_ID_SECRET`), verified against the keys in force.

A node holds all keys in force (`ApiKeys.MAX_KEYS` bounds them), so verifying takes no query. Changes made elsewhere
arrive through the journal within a second.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from ...app.api_keys import PREFIX, digest
from ...domain.errors import Code, LaurelsError
from ...ledger.accounts.api_keys import ApiKeys, KeyInForce, Secret
from .secret_box import DecryptionFailed, SecretBox

log = structlog.get_logger(__name__)

MAX_LENGTH = 128


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The key of an authenticated server."""

    id: int
    name: str
    scopes: frozenset[str]


class Keyring:
    """The API keys in force. Call `refresh` before the first use."""

    def __init__(self, store: ApiKeys, secret_box: SecretBox) -> None:
        self._store = store
        self.secret_box = secret_box
        self._keys: dict[int, KeyInForce] = {}
        self._used: set[int] = set()

    async def refresh(self) -> None:
        """Read all keys from the ledger."""
        self._keys = {key.id: key for key in await self._store.in_force()}

    def verify(self, presented: str) -> ApiKey:
        """Return the key that was presented, compared in constant time. Raises LaurelsError(API_KEY_INVALID)."""
        key_id, _, secret = presented.removeprefix(PREFIX).partition("_")
        found = self._keys.get(int(key_id)) if _is_id(key_id) else None
        if found is None or len(presented) > MAX_LENGTH or not _matches(found, secret):
            raise LaurelsError(Code.API_KEY_INVALID, "This API key is unknown, revoked or rotated away.")
        self._used.add(found.id)
        return ApiKey(found.id, found.name, found.scopes)

    def signing_secrets(self, key_id: int) -> tuple[ApiKey, tuple[str, ...]] | None:
        """Return a key in force and the secrets that bodies may be signed with on its behalf, or None."""
        found, now = self._keys.get(key_id), datetime.now(UTC)
        if found is None:
            return None
        secrets = tuple(self._decrypted(found, kept) for kept in found.secrets if _is_current(kept, now))
        self._used.add(key_id)
        return ApiKey(found.id, found.name, found.scopes), tuple(secret for secret in secrets if secret)

    def _decrypted(self, key: KeyInForce, kept: Secret) -> str | None:
        try:
            return self.secret_box.decrypt(kept.signing, kept.hash.hex())
        except DecryptionFailed as error:
            log.error("can't decrypt a signing secret: rotate the key", key=key.id, reason=str(error))
            return None

    async def record_uses(self) -> None:
        """Record in the ledger which keys were used since the last call."""
        used, self._used = self._used, set()
        if used:
            await self._store.used(used)


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 19


def _matches(key: KeyInForce, secret: str) -> bool:
    given, now = digest(secret), datetime.now(UTC)
    return any(hmac.compare_digest(given, kept.hash) and _is_current(kept, now) for kept in key.secrets)


def _is_current(kept: Secret, now: datetime) -> bool:
    return kept.expires_at is None or now < kept.expires_at
