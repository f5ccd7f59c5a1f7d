"""Access tokens: Ed25519 JWTs of a few minutes, verified strictly (RFC 8725).

The algorithm is fixed by us, never read from the token; type, issuer, audience and expiry are
required. A verified token is remembered until it expires: checking a signature costs more than all
the rest of a request. Bans don't wait for that: the caller asks the directory on every request.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import KeySet, OKPKey

from ..domain.errors import Code, LaurelsError
from ..domain.standings import INT64_MAX
from ..ledger.accounts import Account, SigningKey

ALGORITHM = "Ed25519"
TYPE = "at+jwt"
ISSUER = AUDIENCE = "laurels"
MAX_LENGTH = 2_048
LEEWAY = 5
"""Seconds by which clocks of nodes may differ."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a request speaks for."""

    user_id: int
    username: str
    role: str
    expires_at: int


def new_signing_key() -> tuple[str, str]:
    """(kid, private JWK as JSON text)."""
    kid = secrets.token_urlsafe(8)
    key = OKPKey.generate_key("Ed25519", {"kid": kid, "use": "sig", "alg": ALGORITHM})
    return kid, msgspec.json.encode(key.as_dict(private=True)).decode()


class Tokens:
    """Issues and verifies. Call `use` with the ledger's keys first; `remember` verified tokens are kept."""

    def __init__(self, lifetime: int, *, remember: int = 50_000) -> None:
        self.lifetime = lifetime
        self._remember = remember
        self._verified: OrderedDict[str, Principal] = OrderedDict()
        self._keys = KeySet([])
        self._signer: OKPKey | None = None
        self.jwks: list[dict[str, object]] = []
        self._claims = jwt.JWTClaimsRegistry(
            leeway=LEEWAY,
            iss={"essential": True, "value": ISSUER},
            aud={"essential": True, "value": AUDIENCE},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
        )

    def use(self, keys: Sequence[SigningKey]) -> None:
        """Take the ledger's keys; the newest that is not retired signs."""
        parsed = [OKPKey.import_key(msgspec.json.decode(key.private_jwk)) for key in keys]
        self._keys = KeySet(list(parsed))
        self._signer = next(
            (p for p, key in zip(reversed(parsed), reversed(keys), strict=True) if key.retired_at is None), None
        )
        self.jwks = [dict(key.as_dict(private=False)) for key in parsed]
        self._verified.clear()

    def issue(self, account: Account, *, lifetime: int | None = None) -> str:
        assert self._signer is not None, "no signing key"
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(account.id),
            "name": account.username,
            "role": account.role,
            "iat": now,
            "exp": now + (lifetime or self.lifetime),
            "jti": secrets.token_urlsafe(9),
        }
        header = {"alg": ALGORITHM, "typ": TYPE, "kid": self._signer.kid}
        return jwt.encode(header, claims, self._signer, algorithms=[ALGORITHM])

    def recall(self, authorization: str) -> Principal | None:
        """Who a header speaks for whose token was verified before. Raises LaurelsError(TOKEN_EXPIRED)."""
        principal = self._verified.get(authorization)
        if principal is not None and principal.expires_at + LEEWAY < time.time():
            del self._verified[authorization]
            raise _expired()
        return principal

    def verify(self, token: str, authorization: str) -> Principal:
        """Check a token, and remember it by the header that it came in.

        Raises LaurelsError TOKEN_INVALID or TOKEN_EXPIRED.
        """
        principal = self._verified[authorization] = self._verify(token)
        if len(self._verified) > self._remember:
            self._verified.popitem(last=False)
        return principal

    def _verify(self, token: str) -> Principal:
        if len(token) > MAX_LENGTH:
            raise _invalid()
        try:
            decoded = jwt.decode(token, self._keys, algorithms=[ALGORITHM])
            if decoded.header.get("typ") != TYPE:
                raise _invalid()
            self._claims.validate(decoded.claims)
            return _principal(decoded.claims)
        except ExpiredTokenError as error:
            raise _expired() from error
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise _invalid() from error


def _principal(claims: dict[str, object]) -> Principal:
    subject, name, role, expires = claims["sub"], claims["name"], claims["role"], claims["exp"]
    if not (isinstance(subject, str) and isinstance(name, str) and isinstance(role, str)):
        raise _invalid()
    if isinstance(expires, bool) or not isinstance(expires, int):
        raise _invalid()
    return Principal(_user_id(subject), name, role, expires)


def _user_id(subject: str) -> int:
    if not (subject.isascii() and subject.isdigit()) or int(subject) > INT64_MAX:
        raise _invalid()
    return int(subject)


def _invalid() -> LaurelsError:
    return LaurelsError(Code.TOKEN_INVALID, "This access token is not valid here. Log in for a new one.")


def _expired() -> LaurelsError:
    return LaurelsError(Code.TOKEN_EXPIRED, "This access token has expired. Refresh it at /api/auth/refresh.")
