"""Bodies signed with a key's signing secret, so that the secret itself is never sent.

    Laurels-Signature: k=KEY_ID,t=UNIX_SECONDS,n=NONCE,v1=HEX
    v1 = HMAC-SHA256(signing secret, t "." n "." body)

A signature is valid within five minutes of its time, once: the ledger keeps its nonce.
"""

from __future__ import annotations

import hmac
import re
import time
from dataclasses import dataclass

from ...domain.errors import Code, LaurelsError
from .keyring import ApiKey, Keyring

HEADER = "Laurels-Signature"
WINDOW = 300
"""Seconds by which the time of a signature may differ from ours."""
_FORM = re.compile(r"k=(?P<k>\d{1,18}), ?t=(?P<t>\d{1,12}), ?n=(?P<n>[A-Za-z0-9_-]{16,64}), ?v1=(?P<v1>[0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class SignedKey(ApiKey):
    """A key that claims to have signed a body: `check` the body, then use up `nonce`."""

    nonce: str
    timestamp: str
    mac: str
    secrets: tuple[str, ...]

    def check(self, body: bytes) -> None:
        """Check that the key signed this body. Raises LaurelsError(SIGNATURE_INVALID)."""
        message = f"{self.timestamp}.{self.nonce}.".encode() + body
        if not any(hmac.compare_digest(sign(secret, message), self.mac) for secret in self.secrets):
            raise _invalid()


def sign(secret: str, message: bytes) -> str:
    """Return the HMAC-SHA256 of a message as hexadecimal text."""
    return hmac.digest(secret.encode(), message, "sha256").hex()


def read(header: str, keyring: Keyring, now: float | None = None) -> SignedKey:
    """Return the key that a header names; the body is still to be checked.

    Raises LaurelsError SIGNATURE_INVALID or SIGNATURE_EXPIRED.
    """
    found = _FORM.fullmatch(header) if header.isascii() else None
    if found is None:
        raise _invalid()
    if abs((time.time() if now is None else now) - int(found["t"])) > WINDOW:
        detail = f"The time of this signature is more than {WINDOW // 60} minutes from ours. Sign again."
        raise LaurelsError(Code.SIGNATURE_EXPIRED, detail)
    known = keyring.signing_secrets(int(found["k"]))
    if known is None:
        raise _invalid()
    key, secrets = known
    return SignedKey(key.id, key.name, key.scopes, found["n"], found["t"], found["v1"], secrets)


def _invalid() -> LaurelsError:
    return LaurelsError(
        Code.SIGNATURE_INVALID, f"{HEADER} is malformed, of a key not in force, or does not match this body."
    )
