"""Access tokens: Ed25519 JWTs of a few minutes, verified strictly (RFC 8725).

The algorithm is fixed by us, never read from the token; type, issuer, audience and expiry are
required. A verified token is remembered until it expires: checking a signature costs more than all
the rest of a request. Bans and log-outs don't wait for that: the caller asks the directory and the
revocations on every request. For those a token says which log-in it came with (`sid`) and of which
generation of its user's tokens it is (`gen`).
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
from ...ledger.accounts.accounts import AccountRecord, SigningKey

ALGORITHM = "Ed25519"
TYPE = "at+jwt"
ISSUER = AUDIENCE = "laurels"
MAX_LENGTH = 2_048
_DIGEST_PURPOSE = b"laurels account digest v1"
LEEWAY = 5
"""Seconds by which clocks of nodes may differ."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a request speaks for."""

    user_id: int
    username: str
    role: str
    expires_at: int
    issued_at: int = -1
    """-1: the token does not say."""
    generation: int | None = 0
    """None: a token of an outside issuer."""
    session: str = ""
    leeway: int = LEEWAY

    @property
    def ends_at(self) -> int:
        """Until when the token is accepted."""
        return self.expires_at + self.leeway


def new_signing_key() -> tuple[str, str]:
    """(kid, private JWK as JSON text)."""
    kid = secrets.token_urlsafe(8)
    key = OKPKey.generate_key("Ed25519", {"kid": kid, "use": "sig", "alg": ALGORITHM})
    return kid, msgspec.json.encode(key.as_dict(private=True)).decode()


class AccessTokens:
    """Issues and verifies. Call `use` with the ledger's keys first; `remember` verified tokens are kept."""

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
        """Take the ledger's keys; the newest that is not retired signs."""
        parsed = [OKPKey.import_key(msgspec.json.decode(key.private_jwk)) for key in keys]
        self._keys = KeySet(list(parsed))
        self._signer = next(
            (p for p, key in zip(reversed(parsed), reversed(keys), strict=True) if key.retired_at is None), None
        )
        self._digest_key = hmac.digest(keys[-1].private_jwk.encode(), _DIGEST_PURPOSE, "sha256") if keys else b""
        self.jwks = [dict(key.as_dict(private=False)) for key in parsed]
        self._verified.clear()

    def digest(self, text: str) -> str:
        """Return a short digest that only holders of the ledger's keys can compute: people type passwords as names."""
        return hmac.digest(self._digest_key, text.encode("utf-8", "surrogatepass"), "sha256").hex()[:16]

    def expire_older(self, issued_at: float) -> None:
        """Have every token that was issued before this second refreshed."""
        self._floor = math.floor(issued_at)
        self._verified.clear()

    def issue(self, account: AccountRecord, *, session: str = "", lifetime: int | None = None) -> str:
        """Sign a token of this account; `session` is the log-in that it comes with."""
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
        """Who a header speaks for whose token was verified before. Raises LaurelsError(TOKEN_EXPIRED)."""
        principal = self._verified.get(authorization)
        if principal is not None and principal.ends_at < time.time():
            del self._verified[authorization]
            raise _expired()
        return principal

    def verify(self, token: str, authorization: str) -> Principal:
        """Check a token, and remember it by the header that it came in.

        Raises LaurelsError TOKEN_INVALID or TOKEN_EXPIRED.
        """
        principal = self._verify(token)
        self._verified.put(authorization, principal)
        return principal

    def _verify(self, token: str) -> Principal:
        if len(token) > MAX_LENGTH:
            raise _invalid()
        try:
            decoded = jwt.decode(token, self._keys, algorithms=[ALGORITHM])
            if decoded.header.get("typ") != TYPE:
                raise _invalid()
            self._claims.validate(decoded.claims)
            principal = _principal(decoded.claims)
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
