"""Issue tickets and read them back: `lt_` payload `.` HMAC, the same on every node.

The HMAC's key is derived from the ledger's signing keys, so it is shared, rotates with them (`laurels keys rotate`),
and outlives its retirement as long as any ticket.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from ...domain.rules import TicketRule
from ...domain.standings import micros
from ...domain.tickets import Grant, Ticket
from ...ledger.accounts.accounts import SigningKey

PREFIX = "lt_"
_PURPOSE = b"laurels ticket v1"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Payload(msgspec.Struct, array_like=True, frozen=True):
    """Instants in microseconds since 1970."""

    kid: str
    user_id: int
    action_type: str
    nonce: str
    started_at: int
    not_before: int
    expires_at: int
    challenge: str


_decode = msgspec.json.Decoder(_Payload).decode


class TicketSigner:
    """Signs and verifies tickets. Call `set_keys` first."""

    def __init__(self) -> None:
        self._keys: dict[str, bytes] = {}
        self._kid = ""

    def set_keys(self, keys: Sequence[SigningKey]) -> None:
        """Verify with the ledger's keys, oldest first, and sign with the newest that is not retired."""
        self._keys = {key.kid: _derived(key) for key in keys}
        self._kid = next((key.kid for key in reversed(keys) if key.retired_at is None), "")

    def issue(self, user_id: int, action_type: str, rule: TicketRule, now: datetime) -> tuple[str, Grant, str]:
        """Return a ticket's text, its contents and the challenge. `now`: by the ledger's clock."""
        nonce, challenge = secrets.token_hex(16), secrets.token_urlsafe(16)
        not_before, expires_at = (now + timedelta(seconds=s) for s in (rule.min_seconds, rule.max_seconds))
        grant = Grant(user_id, action_type, bytes.fromhex(nonce), now, not_before, expires_at)
        instants = (micros(now), micros(not_before), micros(expires_at))
        payload = _b64(msgspec.json.encode(_Payload(self._kid, user_id, action_type, nonce, *instants, challenge)))
        return f"{PREFIX}{payload}.{_mac(self._keys[self._kid], payload)}", grant, challenge

    def read(self, text: str) -> Ticket:
        """Return the ticket; its grant is None unless it was signed here."""
        payload, _, mac = text.removeprefix(PREFIX).partition(".")
        try:
            said = _decode(_unb64(payload))
            key = self._keys[said.kid]
            genuine = text.startswith(PREFIX) and hmac.compare_digest(_mac(key, payload), mac)
            return Ticket(text, _grant(said) if genuine else None)
        except (msgspec.DecodeError, ValueError, KeyError, TypeError):
            return Ticket(text, None)


def _grant(said: _Payload) -> Grant:
    started, not_before, expires = (
        _EPOCH + timedelta(microseconds=at) for at in (said.started_at, said.not_before, said.expires_at)
    )
    return Grant(said.user_id, said.action_type, bytes.fromhex(said.nonce), started, not_before, expires)


def _derived(key: SigningKey) -> bytes:
    private = msgspec.json.decode(key.private_jwk)["d"]
    return hmac.digest(private.encode(), _PURPOSE, "sha256")


def _mac(key: bytes, payload: str) -> str:
    return _b64(hmac.digest(key, payload.encode(), "sha256"))


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    """Decode base64url without padding. Raises ValueError (binascii.Error is one)."""
    if not text.isascii():
        raise binascii.Error("not ASCII")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
