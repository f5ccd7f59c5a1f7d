"""Tokens of outside issuers: checked as RFC 8725 says, then their holder has an account here.

The issuer a token claims decides whose keys, audience, types and algorithms apply; nothing else in
it decides anything before its signature is checked. What was checked is remembered for
RECHECK_SECONDS, so that a key its issuer withdrew ends soon.
"""

from __future__ import annotations

import base64
import re
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import msgspec
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from ..domain.errors import Code, LaurelsError
from ..domain.names import outside_names
from ..ledger.accounts import Accounts
from .decode import strict_json
from .issuers import OutsideIssuer
from .jwks import KeySource, PublicKey
from .tokens import LEEWAY, Principal

MAX_LENGTH = 6_144
"""A header line of more than 8 KiB does not get this far."""
RECHECK_SECONDS = 300
_FORM = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class _Claimed(msgspec.Struct):
    iss: str


_peek = msgspec.json.Decoder(_Claimed).decode


class Outsiders:
    """Holds at most `remember` tokens."""

    def __init__(self, issuers: Sequence[OutsideIssuer], accounts: Accounts, *, remember: int = 50_000) -> None:
        self._issuers = {one.issuer: (one, KeySource(one)) for one in issuers}
        self._accounts = accounts
        self._remember = remember
        self._checked: OrderedDict[str, tuple[Principal, float]] = OrderedDict()

    def recall(self, token: str) -> Principal | None:
        """Who a token speaks for that was checked a short while ago."""
        if not self._checked:
            return None
        known = self._checked.get(token)
        if known is None or time.time() < known[1]:
            return None if known is None else known[0]
        del self._checked[token]
        return None

    def claim(self, token: str) -> bool:
        """The token says that it is of one of these issuers; nothing is checked yet."""
        if not self._issuers or len(token) > MAX_LENGTH:
            return False
        try:
            return _peek(_unb64(token.split(".")[1])).iss in self._issuers
        except (IndexError, ValueError, RecursionError, msgspec.DecodeError):
            return False

    async def verify(self, token: str) -> Principal:
        """Check a token; at first sight of its subject, open an account.

        Raises LaurelsError TOKEN_INVALID, TOKEN_EXPIRED, ISSUER_UNAVAILABLE or DATABASE_UNAVAILABLE.
        """
        header, claims, signed, signature = _taken_apart(token)
        issuer, source = self._issuers.get(claims["iss"]) or _refuse()
        algorithm = _algorithm(header, issuer)
        key = await source.find(_key_id(header), algorithm)
        if key is None or not _fits(key, algorithm, signed, signature):
            _refuse()
        expires_at, subject = _expiry(claims), _subject(claims, issuer)
        if not _audience(claims) & issuer.audiences:
            _refuse()
        names = outside_names(_text(claims.get(issuer.name_claim)), f"{issuer.issuer}\0{subject}")
        account = await self._accounts.outsider(issuer.issuer, subject, names)
        if account.status == "erased":
            _refuse()
        principal = Principal(account.id, account.username, account.role, expires_at)
        self._keep(token, principal)
        return principal

    def _keep(self, token: str, principal: Principal) -> None:
        self._checked[token] = (principal, min(principal.expires_at + LEEWAY, time.time() + RECHECK_SECONDS))
        if len(self._checked) > self._remember:
            self._checked.popitem(last=False)


def _taken_apart(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any], bytes, bytes]:
    """(header, claims, what was signed, signature); objects without duplicate members."""
    found = _FORM.fullmatch(token) if len(token) <= MAX_LENGTH else None
    if found is None:
        _refuse()
    try:
        header, claims = (strict_json(_unb64(part)) for part in found.groups()[:2])
        signature = _unb64(found[3])
    except ValueError:
        _refuse()
    if not isinstance(header, dict) or not isinstance(claims, dict) or not isinstance(claims.get("iss"), str):
        _refuse()
    return header, claims, token.rpartition(".")[0].encode(), signature


def _algorithm(header: Mapping[str, Any], issuer: OutsideIssuer) -> str:
    """One that the issuer may use. Whatever else the header suggests (jku, jwk, x5u, x5c) is not looked at."""
    given, kind = header.get("alg"), header.get("typ")
    algorithm = "EdDSA" if given == "Ed25519" else given  # RFC 9864 renames it
    types = {one.casefold() for one in issuer.types}
    if algorithm not in issuer.algorithms or "crit" in header or not isinstance(kind, str):
        _refuse()
    if kind.casefold().removeprefix("application/") not in types:
        _refuse()
    return str(algorithm)


def _key_id(header: Mapping[str, Any]) -> str | None:
    key_id = header.get("kid")
    if key_id is not None and not (isinstance(key_id, str) and 0 < len(key_id) <= 255):
        _refuse()
    return key_id


def _fits(key: PublicKey, algorithm: str, signed: bytes, signature: bytes) -> bool:
    # The bare algorithm: joserfc's own readers take the algorithm from the header, and refuse headers they don't know.
    try:
        return bool(JWSRegistry.algorithms[algorithm].verify(signed, signature, key))
    except (JoseError, ValueError, TypeError):
        return False


def _expiry(claims: Mapping[str, Any]) -> int:
    now = time.time()
    expires, begins, issued = (_instant(claims, name) for name in ("exp", "nbf", "iat"))
    if expires is None or any(at is not None and at > now + LEEWAY for at in (begins, issued)):
        _refuse()
    if expires + LEEWAY < now:
        raise LaurelsError(Code.TOKEN_EXPIRED, "This access token has expired. Get a new one from its issuer.")
    return int(expires)


def _instant(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
        _refuse()
    return value


def _subject(claims: Mapping[str, Any], issuer: OutsideIssuer) -> str:
    subject = _text(claims.get(issuer.subject_claim))
    if subject is None or len(subject) > 255 or _CONTROLS.search(subject):
        _refuse()
    return subject


def _audience(claims: Mapping[str, Any]) -> frozenset[str]:
    given = claims.get("aud")
    listed = given if isinstance(given, list) else [given]
    return frozenset(one for one in listed if isinstance(one, str))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _unb64(text: str) -> bytes:
    """Raises ValueError."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _refuse() -> NoReturn:
    raise LaurelsError(Code.TOKEN_INVALID, "This access token is not valid here.")
