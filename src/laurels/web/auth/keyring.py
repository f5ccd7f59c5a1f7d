"""API keys as presented: `lk_ID_SECRET`, checked against what the ledger keeps of them.

A node holds all keys in force (`ApiKeys.MAX_KEYS` bounds them), so a check costs no query and a
guess costs its sender alone. Changes made elsewhere arrive through the journal, within a second.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from ...domain.errors import Code, LaurelsError
from ...ledger.accounts.api_keys import ApiKeys, KeyInForce, Secret
from .secret_box import DecryptionFailed, SecretBox

log = structlog.get_logger(__name__)

PREFIX = "lk_"
SIGNING_PREFIX = "lks_"
MAX_LENGTH = 128


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A server that showed its key."""

    id: int
    name: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class FreshSecret:
    """What is shown once: the key's secret half, and the text that its holder signs bodies with."""

    secret: str
    signing: str

    @classmethod
    def generate(cls) -> FreshSecret:
        return cls(secrets.token_urlsafe(32), SIGNING_PREFIX + secrets.token_urlsafe(32))

    def key(self, key_id: int) -> str:
        return f"{PREFIX}{key_id}_{self.secret}"

    def stored(self, seal: SecretBox) -> Secret:
        hashed = digest(self.secret)
        return Secret(hashed, seal.encrypt(self.signing, hashed.hex()))


class Keyring:
    """Call `refresh` before the first use."""

    def __init__(self, store: ApiKeys, seal: SecretBox) -> None:
        self._store = store
        self.seal = seal
        self._keys: dict[int, KeyInForce] = {}
        self._used: set[int] = set()

    async def refresh(self) -> None:
        """Read all keys anew."""
        self._keys = {key.id: key for key in await self._store.in_force()}

    def verify(self, presented: str) -> ApiKey:
        """Raises LaurelsError(API_KEY_INVALID). The secret is compared in constant time."""
        key_id, _, secret = presented.removeprefix(PREFIX).partition("_")
        found = self._keys.get(int(key_id)) if _is_id(key_id) else None
        if found is None or len(presented) > MAX_LENGTH or not _fits(found, secret):
            raise LaurelsError(Code.API_KEY_INVALID, "This API key is unknown, revoked or rotated away.")
        self._used.add(found.id)
        return ApiKey(found.id, found.name, found.scopes)

    def signing_secrets(self, key_id: int) -> tuple[ApiKey, tuple[str, ...]] | None:
        """A key in force, and what bodies may be signed with on its behalf."""
        found, now = self._keys.get(key_id), datetime.now(UTC)
        if found is None:
            return None
        secrets = tuple(self._opened(found, kept) for kept in found.secrets if _is_good(kept, now))
        self._used.add(key_id)
        return ApiKey(found.id, found.name, found.scopes), tuple(secret for secret in secrets if secret)

    def _opened(self, key: KeyInForce, kept: Secret) -> str | None:
        try:
            return self.seal.decrypt(kept.signing, kept.hash.hex())
        except DecryptionFailed as error:
            log.error("signing secret can't be opened: rotate the key", key=key.id, reason=str(error))
            return None

    async def record_uses(self) -> None:
        """Tell the ledger which keys were used since the last call."""
        used, self._used = self._used, set()
        if used:
            await self._store.used(used)


def digest(secret: str) -> bytes:
    """A key's secret half is 256 random bits: a plain hash suffices, there is nothing to guess."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 19


def _fits(key: KeyInForce, secret: str) -> bool:
    given, now = digest(secret), datetime.now(UTC)
    return any(hmac.compare_digest(given, kept.hash) and _is_good(kept, now) for kept in key.secrets)


def _is_good(kept: Secret, now: datetime) -> bool:
    return kept.expires_at is None or now < kept.expires_at
