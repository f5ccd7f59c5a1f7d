"""Secrets that the ledger must keep and its readers must not see: AES-256-GCM under a key that is not in it.

Verifying an HMAC takes the secret itself, so a hash won't do. Without a key
(LAURELS_ENCRYPTION_KEY unset) secrets are stored as they are, like the keys that sign access tokens: a reader of the
database can then sign.
"""

from __future__ import annotations

import hashlib

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

_HEADER = {"alg": "dir", "enc": "A256GCM"}
_ALGORITHMS = ["dir", "A256GCM"]
_SEALED = b"ey"
"""How a JWE begins; a secret in the clear begins with its own prefix."""


class DecryptionFailed(Exception):
    """Sealed with another key, or for another use, or altered."""


class SecretBox:
    """`key` is text of any length with at least 256 bits of chance in it; empty: nothing is sealed."""

    def __init__(self, key: str = "") -> None:
        self._key = OctKey.import_key(hashlib.sha256(key.encode()).digest()) if key else None

    def encrypt(self, secret: str, use: str) -> bytes:
        """What the ledger keeps. `use` names the row: sealed text moved to another one can't be opened."""
        if self._key is None:
            return secret.encode()
        return jwe.encrypt_compact({**_HEADER, "kid": use}, secret, self._key, algorithms=_ALGORITHMS).encode()

    def decrypt(self, kept: bytes, use: str) -> str:
        """Raises CantOpen."""
        if not kept.startswith(_SEALED):
            return kept.decode()
        if self._key is None:
            raise DecryptionFailed("LAURELS_ENCRYPTION_KEY is not set")
        try:
            opened = jwe.decrypt_compact(kept, self._key, algorithms=_ALGORITHMS)
        except (JoseError, ValueError) as error:
            raise DecryptionFailed("LAURELS_ENCRYPTION_KEY is not the key it was sealed with") from error
        if opened.headers().get("kid") != use or opened.plaintext is None:
            raise DecryptionFailed("it was sealed for another use")
        return opened.plaintext.decode()
