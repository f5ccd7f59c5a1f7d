"""Tokens of external issuers: verified as RFC 8725 says, then mapped to an account here.

The issuer that a token claims decides which keys, audience, types and algorithms apply; nothing else in the token
decides anything before its signature is verified. A verified token is cached for RECHECK_SECONDS, so that a key which
its issuer withdrew stops working soon. The log says which check a refused token failed.
"""

from __future__ import annotations

import base64
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import msgspec

from ...concurrency.bounded_dict import BoundedDict
from ...domain.errors import Code, LaurelsError
from ...domain.names import external_names
from ...domain.strict_json import strict_json
from ...ledger.accounts.accounts import AccountRecord, Accounts
from .access_tokens import Principal
from .issuers import ISSUER, ExternalIssuer
from .jwks import KeySource
from .refusal_log import RefusalLog, shown
from .token_signature import PublicKey, SignatureRefused, SignatureRules, verify_signature

MAX_LENGTH = 6_144
"""Characters of a token. A header line of more than 8 KiB is refused before."""
RECHECK_SECONDS = 300
LATEST = 253_402_300_799
"""The last second of the year 9999: some issuers write `exp` in milliseconds."""
_FORM = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class _Claimed(msgspec.Struct):
    iss: str


_peek = msgspec.json.Decoder(_Claimed).decode


class TokenRefused(LaurelsError):
    """A token failed `check`; `why` explains it in the log. The client learns neither."""

    def __init__(self, check: str, why: str, code: Code = Code.TOKEN_INVALID, detail: str | None = None) -> None:
        super().__init__(code, detail or "This access token is not valid here.")
        self.check = check
        self.why = why


class ExternalTokens:
    """Verifies tokens of `issuers` and caches `remember` of them at most.

    `registration_open` says whether new subjects get an account now.
    """

    def __init__(
        self,
        issuers: Sequence[ExternalIssuer],
        accounts: Accounts,
        registration_open: Callable[[], bool] = lambda: True,
        *,
        remember: int = 50_000,
    ) -> None:
        self._issuers = {
            one.issuer: (one, KeySource(one), SignatureRules(_names(one.algorithms), strict=False)) for one in issuers
        }
        self._accounts = accounts
        self._registration_open = registration_open
        self._checked: BoundedDict[str, tuple[Principal, float]] = BoundedDict(remember)
        self._refusals = RefusalLog()

    def cached(self, token: str) -> Principal | None:
        """Return the user of a token that was verified in the last RECHECK_SECONDS."""
        if not self._checked:
            return None
        known = self._checked.get(token)
        if known is None or time.time() < known[1]:
            return None if known is None else known[0]
        del self._checked[token]
        return None

    def forget(self) -> None:
        """Verify every token again when it comes next."""
        self._checked.clear()

    def is_external(self, token: str) -> bool:
        """Return whether a token claims to be of one of these issuers. Verifies nothing."""
        if not self._issuers:
            return False
        if len(token) > MAX_LENGTH:
            self._refusals.refused("", "length", f"{len(token)} characters, at most {MAX_LENGTH} are read")
            return False
        try:
            issuer = _peek(_unb64(token.split(".")[1])).iss
        except (IndexError, ValueError, RecursionError, msgspec.DecodeError):
            self._refusals.refused("", "form", "not a signed JWT whose claims name an issuer")
            return False
        if issuer not in self._issuers and issuer != ISSUER:
            # One budget for all unknown issuers: a client must not choose how many lines the log gets.
            self._refusals.refused("", "issuer", f"LAURELS_ISSUERS has no {shown(issuer)!r}")
        return issuer in self._issuers

    async def verify(self, token: str) -> Principal:
        """Verify a token and return its user; open an account for a new subject.

        Raises LaurelsError TOKEN_INVALID, TOKEN_EXPIRED, ISSUER_UNAVAILABLE, REGISTRATION_CLOSED or
        DATABASE_UNAVAILABLE.
        """
        try:
            return await self._verify(token)
        except TokenRefused as refusal:
            self._refusals.refused(_issuer_of(token), refusal.check, refusal.why)
            raise

    async def _verify(self, token: str) -> Principal:
        header, claims = _split(token)
        issuer, source, rules = self._issuers.get(claims["iss"]) or _refuse("issuer", "not configured")
        algorithm = _algorithm(header, issuer)
        key = await source.find(_key_id(header), algorithm)
        if key is None:
            _refuse("key", f"the issuer publishes no key {shown(header.get('kid'))!r} for {algorithm}")
        _check_signature(token, key, rules, header)
        expires_at, issued_at = _times(claims, issuer.leeway)
        subject = _subject(claims, issuer)
        if not _audience(claims) & issuer.audiences:
            _refuse("audience", f"aud is {shown(claims.get('aud'))!r}")
        wanted = _text(claims.get(issuer.name_claim))
        account = await self._account(issuer, subject, issued_at, wanted)
        principal = Principal(
            account.id,
            account.username,
            account.role,
            expires_at,
            issued_at=issued_at,
            generation=None,
            leeway=issuer.leeway,
        )
        self._keep(token, principal)
        return principal

    async def _account(self, issuer: ExternalIssuer, subject: str, issued_at: int, wanted: str | None) -> AccountRecord:
        known = await self._accounts.external_account(issuer.issuer, subject)
        if known is None:
            if not (self._registration_open() or issuer.registers_when_closed):
                detail = "Registration is closed."
                raise TokenRefused("registration", "closed, and the subject is new", Code.REGISTRATION_CLOSED, detail)
            names = external_names(wanted, secrets.token_hex(32))
            known = await self._accounts.open_external_account(issuer.issuer, subject, issued_at, names)
        if known is None:
            _refuse("iat", "the subject was erased after the token was issued")
        if known.ends(issued_at):
            _refuse("iat", "the user's tokens were ended after this one was issued")
        if known.account.status == "erased":
            _refuse("account", "erased")
        return known.account

    def _keep(self, token: str, principal: Principal) -> None:
        self._checked.put(token, (principal, min(principal.ends_at, time.time() + RECHECK_SECONDS)))


def _issuer_of(token: str) -> str:
    try:
        return _peek(_unb64(token.split(".")[1])).iss
    except (IndexError, ValueError, RecursionError, msgspec.DecodeError):
        return ""


def _split(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return header and claims, nothing of them verified: JSON objects without duplicate members."""
    found = _FORM.fullmatch(token) if len(token) <= MAX_LENGTH else None
    if found is None:
        _refuse("form", "not three parts of base64url")
    try:
        header, claims = (strict_json(_unb64(part)) for part in found.groups()[:2])
        _unb64(found[3])
    except ValueError:
        _refuse("form", "a part is not base64url of strict JSON")
    if not isinstance(header, dict) or not isinstance(claims, dict) or not isinstance(claims.get("iss"), str):
        _refuse("form", "header and claims must be objects, and iss text")
    return header, claims


def _algorithm(header: Mapping[str, Any], issuer: ExternalIssuer) -> str:
    """Return the algorithm, if the issuer may use it. Keys that the header offers (jku, jwk, x5u, x5c) are ignored."""
    given = header.get("alg")
    algorithm = "EdDSA" if given == "Ed25519" else given  # RFC 9864 renames it
    if algorithm not in issuer.algorithms:
        _refuse("algorithm", f"alg is {shown(given)!r}, algorithms are {issuer.algorithms}")
    if "crit" in header:
        _refuse("crit", "critical extensions are not supported")
    if "typ" in header or issuer.require_typ:
        _check_type(header, issuer)
    return str(algorithm)


def _check_type(header: Mapping[str, Any], issuer: ExternalIssuer) -> None:
    if "typ" not in header:
        _refuse("typ", "missing; the setting require_typ of this issuer may allow that")
    kind = header["typ"]
    types = {one.casefold() for one in issuer.types}
    if not isinstance(kind, str) or kind.casefold().removeprefix("application/") not in types:
        _refuse("typ", f"typ is {shown(kind)!r}, types are {issuer.types}")


def _key_id(header: Mapping[str, Any]) -> str | None:
    key_id = header.get("kid")
    if key_id is not None and not (isinstance(key_id, str) and 0 < len(key_id) <= 255):
        _refuse("kid", "not text of 1 to 255 characters")
    return key_id


def _check_signature(token: str, key: PublicKey, rules: SignatureRules, header: Mapping[str, Any]) -> None:
    try:
        verify_signature(token, key, rules)
    except SignatureRefused:
        _refuse("signature", f"not made with the key {shown(header.get('kid'))!r}")


def _times(claims: Mapping[str, Any], leeway: int) -> tuple[int, int]:
    """Return when the token expires and when it was issued (-1: not stated), in whole seconds."""
    now = time.time()
    expires, begins, issued = (_instant(claims, name) for name in ("exp", "nbf", "iat"))
    if expires is None:
        _refuse("exp", "missing")
    for name, at in (("nbf", begins), ("iat", issued)):
        if at is not None and at > now + leeway:
            _refuse(name, f"{at - now:.0f} s ahead of this node's clock; leeway is {leeway} s")
    if expires + leeway < now:
        raise TokenRefused(
            "exp",
            f"{now - expires:.0f} s ago; leeway is {leeway} s",
            Code.TOKEN_EXPIRED,
            "This access token has expired. Get a new one from its issuer.",
        )
    return min(int(expires), LATEST), -1 if issued is None else int(issued)


def _instant(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
        _refuse(name, "not a number of seconds")
    return value


def _subject(claims: Mapping[str, Any], issuer: ExternalIssuer) -> str:
    subject = _text(claims.get(issuer.subject_claim))
    if subject is None or len(subject) > 255 or _CONTROLS.search(subject):
        _refuse("subject", f"{issuer.subject_claim} is not text of 1 to 255 characters without control characters")
    return subject


def _audience(claims: Mapping[str, Any]) -> frozenset[str]:
    given = claims.get("aud")
    listed = given if isinstance(given, list) else [given]
    return frozenset(one for one in listed if isinstance(one, str))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _unb64(text: str) -> bytes:
    """Decode base64url without padding. Raises ValueError."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _refuse(check: str, why: str) -> NoReturn:
    raise TokenRefused(check, why)


def _names(algorithms: Sequence[str]) -> list[str]:
    """Return algorithms as joserfc names them (RFC 9864)."""
    return ["Ed25519" if name == "EdDSA" else name for name in algorithms]
