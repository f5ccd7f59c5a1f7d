"""Access tokens: Ed25519 JWTs of a few minutes, verified strictly (RFC 8725).

The algorithm is fixed and never read from the token; type, issuer, audience, expiry and issue time are required. A
verified token is cached until it expires, because checking a signature costs more than the rest of a request. Bans and
log-outs do not wait for that: the directory and the revocations are consulted on every request, so a token names the
log-in it came with (`sid`) and the generation of its user's tokens (`gen`).
"""

from __future__ import annotations

import hmac
import math
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

import msgspec
from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import KeySet, OKPKey

from ...concurrency.bounded_dict import BoundedDict
from ...domain.errors import Code, LaurelsError
from ...domain.standings import INT64_MAX
from ...domain.strict_json import strict_json
from ...ledger.accounts.accounts import AccountRecord, SigningKey
from .issuers import ISSUER
from .token_signature import SignatureRules, verify_signature

ALGORITHM = "Ed25519"
TYPE = "at+jwt"
AUDIENCE = "laurels"
MAX_LENGTH = 2_048
_DIGEST_PURPOSE = b"laurels account digest v1"
LEEWAY = 5
"""Seconds by which the clocks of two nodes may differ."""
_RULES = SignatureRules([ALGORITHM], strict=True)


@dataclass(frozen=True, slots=True)
class Principal:
    """The user on whose behalf a request is made."""

    user_id: int
    username: str
    role: str
    expires_at: int
    issued_at: int = -1
    """-1: not stated by the token."""
    generation: int | None = 0
    """None: the token is of an external issuer."""
    session: str = ""
    leeway: int = LEEWAY

    @property
    def ends_at(self) -> int:
        """The last second in which the token is accepted."""
        return self.expires_at + self.leeway


def new_signing_key() -> tuple[str, str]:
    """Return the id and the private JWK, as JSON text, of a new signing key."""
    kid = secrets.token_urlsafe(8)
    key = OKPKey.generate_key("Ed25519", {"kid": kid, "use": "sig", "alg": ALGORITHM})
    return kid, msgspec.json.encode(key.as_dict(private=True)).decode()


class AccessTokens:
    """Issues and verifies tokens. Call `set_keys` first.

    `lifetime`: seconds. `remember`: how many verified tokens are cached at most.
    """

    def __init__(self, lifetime: int, *, remember: int = 50_000) -> None:
        self.lifetime = lifetime
        self._verified: BoundedDict[str, Principal] = BoundedDict(remember)
        self._keys = KeySet([])
        self._signer: OKPKey | None = None
        self._floor = -math.inf
        self._digest_key = b""
        self.jwks: list[dict[str, object]] = []
        self._claims = jwt.JWTClaimsRegistry(
            leeway=LEEWAY,
            iss={"essential": True, "value": ISSUER},
            aud={"essential": True, "value": AUDIENCE},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
        )

    def set_keys(self, keys: Sequence[SigningKey]) -> None:
        """Verify with the ledger's keys, oldest first, and sign with the newest that is not retired."""
        parsed = [OKPKey.import_key(msgspec.json.decode(key.private_jwk)) for key in keys]
        self._keys = KeySet(list(parsed))
        self._signer = next(
            (p for p, key in zip(reversed(parsed), reversed(keys), strict=True) if key.retired_at is None), None
        )
        self._digest_key = hmac.digest(keys[-1].private_jwk.encode(), _DIGEST_PURPOSE, "sha256") if keys else b""
        self.jwks = [dict(key.as_dict(private=False)) for key in parsed]
        self._verified.clear()

    def digest(self, text: str) -> str:
        """Return a short digest that only holders of the ledger's keys can compute.

        For names in the audit trail: people type their password where the name belongs.
        """
        return hmac.digest(self._digest_key, text.encode("utf-8", "surrogatepass"), "sha256").hex()[:16]

    def expire_older(self, issued_at: float) -> None:
        """Refuse every token that was issued before this second as expired, so that it is refreshed."""
        self._floor = math.floor(issued_at)
        self._verified.clear()

    def issue(self, account: AccountRecord, *, session: str = "", lifetime: int | None = None) -> str:
        """Return a signed token of this account. `session`: the log-in it comes with; `lifetime`: seconds."""
        assert self._signer is not None, "no signing key"
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(account.id),
            "name": account.username,
            "role": account.role,
            "gen": account.generation,
            "sid": session,
            "iat": now,
            "exp": now + (lifetime or self.lifetime),
            "jti": secrets.token_urlsafe(9),
        }
        header = {"alg": ALGORITHM, "typ": TYPE, "kid": self._signer.kid}
        return jwt.encode(header, claims, self._signer, algorithms=[ALGORITHM])

    def cached(self, authorization: str) -> Principal | None:
        """Return the user of an Authorization header that was verified before. Raises LaurelsError(TOKEN_EXPIRED)."""
        principal = self._verified.get(authorization)
        if principal is not None and principal.ends_at < time.time():
            del self._verified[authorization]
            raise _expired()
        return principal

    def verify(self, token: str, authorization: str) -> Principal:
        """Verify a token and cache it by the Authorization header that it came in.

        Raises LaurelsError TOKEN_INVALID or TOKEN_EXPIRED.
        """
        principal = self._verify(token)
        self._verified.put(authorization, principal)
        return principal

    def _verify(self, token: str) -> Principal:
        if len(token) > MAX_LENGTH:
            raise _invalid()
        try:
            signed = verify_signature(token, self._keys, _RULES)
            if signed.headers().get("typ") != TYPE:
                raise _invalid()
            claims = strict_json(signed.payload or b"")
            if not isinstance(claims, dict):
                raise _invalid()
            self._claims.validate(claims)
            principal = _principal(claims)
        except ExpiredTokenError as error:
            raise _expired() from error
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise _invalid() from error
        if principal.issued_at < self._floor:
            raise _expired()
        return principal


def _principal(claims: dict[str, object]) -> Principal:
    subject, name, role, expires = claims["sub"], claims["name"], claims["role"], claims["exp"]
    if not (isinstance(subject, str) and isinstance(name, str) and isinstance(role, str)):
        raise _invalid()
    issued, generation, session = claims["iat"], claims.get("gen", 0), claims.get("sid", "")
    if not (_is_whole(expires) and _is_whole(issued) and _is_whole(generation) and isinstance(session, str)):
        raise _invalid()
    return Principal(_user_id(subject), name, role, expires, issued, generation, session)


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _user_id(subject: str) -> int:
    if not (subject.isascii() and subject.isdigit()) or int(subject) > INT64_MAX:
        raise _invalid()
    return int(subject)


def _invalid() -> LaurelsError:
    return LaurelsError(Code.TOKEN_INVALID, "This access token is not valid here. Log in for a new one.")


def _expired() -> LaurelsError:
    return LaurelsError(Code.TOKEN_EXPIRED, "This access token has expired. Refresh it at /api/auth/refresh.")
