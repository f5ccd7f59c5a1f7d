"""Secrets that the ledger keeps and its readers must not see: AES-256-GCM under a key that is not in the ledger.

Verifying an HMAC takes the secret itself, so a hash won't do. Without a key (LAURELS_ENCRYPTION_KEY unset) secrets are
stored in clear text, like the keys that sign access tokens: a reader of the database can then sign.
"""

from __future__ import annotations

import hashlib

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

_HEADER = {"alg": "dir", "enc": "A256GCM"}
_ALGORITHMS = ["dir", "A256GCM"]
_ENCRYPTED = b"ey"
"""How a JWE begins; a secret in clear text begins with its own prefix."""


class DecryptionFailed(Exception):
    """The text was encrypted with another key or for another use, or it was altered."""


class SecretBox:
    """`key`: text of any length with at least 256 random bits; empty: secrets stay in clear text."""

    def __init__(self, key: str = "") -> None:
        self._key = OctKey.import_key(hashlib.sha256(key.encode()).digest()) if key else None

    def encrypt(self, secret: str, use: str) -> bytes:
        """Return what the ledger keeps. `use` names the row: text that is moved to another row can't be decrypted."""
        if self._key is None:
            return secret.encode()
        return jwe.encrypt_compact({**_HEADER, "kid": use}, secret, self._key, algorithms=_ALGORITHMS).encode()

    def decrypt(self, kept: bytes, use: str) -> str:
        """Return the secret. Raises DecryptionFailed."""
        if not kept.startswith(_ENCRYPTED):
            return kept.decode()
        if self._key is None:
            raise DecryptionFailed("LAURELS_ENCRYPTION_KEY is not set")
        try:
            decrypted = jwe.decrypt_compact(kept, self._key, algorithms=_ALGORITHMS)
        except (JoseError, ValueError) as error:
            raise DecryptionFailed("LAURELS_ENCRYPTION_KEY is not the key it was encrypted with") from error
        if decrypted.headers().get("kid") != use or decrypted.plaintext is None:
            raise DecryptionFailed("it was encrypted for another use")
        return decrypted.plaintext.decode()
