"""Authenticate the caller of a route, and check what the caller may do.

A user presents an access token (ours, or one of an external issuer), a server an API key; both as
`Authorization: Bearer …`. `Access` says what a route requires. No scope implies another. On which accounts an
operator or a key may act is decided in the transaction of the act (`domain/authorization.py`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from ...app.api_keys import PREFIX
from ...domain.authorization import Scope
from ...domain.errors import Code, LaurelsError
from ...ledger.accounts.accounts import Accounts
from ...ledger.accounts.directory import Directory
from ...ledger.accounts.revocations import Revocations
from ..http.aiohttp_types import hdrs
from . import signatures
from .access_tokens import AccessTokens, Principal
from .external_tokens import ExternalTokens
from .keyring import ApiKey, Keyring
from .signatures import SignedKey

Access = Literal["public", "viewer", "user", "server", "moderator", "admin"]
"""The credentials that a route requires of its caller.

public      nothing; credentials are not read
viewer      nothing, but a user's token is read: a shadowed user sees a different board. A key counts as anonymous
user        a user's token. A key is refused: it does not speak for one user
server      a key with the scope actions:write, presented or proved by a signed body. Users are refused
moderator   a token of a moderator or an admin, or a key: with admin:read for GET, else with the scope of the route
admin       a token of an admin, or a key likewise
"""

_ROLES = {"moderator": ("moderator", "admin"), "admin": ("admin",)}


class ProtectedRoute(Protocol):
    """A route, as far as its callers are concerned."""

    @property
    def access(self) -> Access:
        """The credentials that the caller must present."""

    @property
    def scope(self) -> Scope | None:
        """The scope that a key needs where access is for operators and the method is not GET."""

    @property
    def method(self) -> str:
        """The HTTP method."""


UseNonce = Callable[[int, str], Awaitable[bool]]
"""Stores a nonce of an API key (by id); False: it was used before."""


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Verifies tokens, keys and signatures against what this node holds in memory."""

    tokens: AccessTokens
    external_tokens: ExternalTokens
    keyring: Keyring
    directory: Directory
    revocations: Revocations
    accounts: Accounts
    use_nonce: UseNonce

    def authenticate(self, headers: Mapping[str, str], route: ProtectedRoute) -> Principal | ApiKey | None:
        """Return the caller of a route that is not public, without I/O.

        None: the keys of an external issuer are needed, see `authenticate_external`.
        Raises LaurelsError TOKEN_MISSING, TOKEN_INVALID, TOKEN_EXPIRED, API_KEY_INVALID, BANNED or FORBIDDEN.
        """
        authorization = headers.get(hdrs.AUTHORIZATION, "")
        principal = self.tokens.cached(authorization)  # most requests end here, so the header is not parsed before
        if principal is not None:
            user_id = principal.user_id
            if user_id in self.directory.blocked or user_id in self.revocations.users or route.access == "server":
                return self._checked_standing(principal, route)
            return principal
        return self._authenticate_slowly(authorization, headers, route)

    def _authenticate_slowly(
        self, authorization: str, headers: Mapping[str, str], route: ProtectedRoute
    ) -> Principal | ApiKey | None:
        scheme, _, token = authorization.partition(" ")
        if not token or scheme.lower() != "bearer":
            signed = headers.get(signatures.HEADER)
            if signed is None or route.access != "server":
                raise LaurelsError(Code.TOKEN_MISSING, _WHAT_TO_SEND[route.access])
            return _within_scope(signatures.read(signed, self.keyring), route)
        if token.startswith(PREFIX):
            return _within_scope(self.keyring.verify(token), route)
        principal = self.external_tokens.cached(token)
        if principal is None:
            if self.external_tokens.is_external(token):
                return None
            principal = self.tokens.verify(token, authorization)
        return self._checked_standing(principal, route)

    async def authenticate_external(self, headers: Mapping[str, str], route: ProtectedRoute) -> Principal:
        """Return the holder of an external issuer's token that is not cached.

        Raises LaurelsError TOKEN_INVALID, TOKEN_EXPIRED, ISSUER_UNAVAILABLE, REGISTRATION_CLOSED,
        DATABASE_UNAVAILABLE, BANNED or FORBIDDEN.
        """
        token = headers[hdrs.AUTHORIZATION].partition(" ")[2]
        return self._checked_standing(await self.external_tokens.verify(token), route)

    def _checked_standing(self, principal: Principal, route: ProtectedRoute) -> Principal:
        self.check_current(principal)
        if route.access == "server":
            raise LaurelsError(Code.FORBIDDEN, "This path is for servers: it takes an API key.")
        return principal

    def user_of_token(self, token: str) -> Principal | None:
        """Return the user of an access token that did not come in a request's header.

        None: the keys of an external issuer are needed, see `external_user_of`.
        Raises LaurelsError TOKEN_INVALID, TOKEN_EXPIRED or BANNED.
        """
        principal = self.external_tokens.cached(token)
        if principal is None:
            if self.external_tokens.is_external(token):
                return None
            principal = self.tokens.verify(token, f"Bearer {token}")
        return self.check_current(principal)

    async def external_user_of(self, token: str) -> Principal:
        """Return the user of an external issuer's token. Raises as `authenticate_external` does."""
        return self.check_current(await self.external_tokens.verify(token))

    def caller_of_token(self, token: str) -> Principal | ApiKey | None:
        """Return the server of an API key or the user of a token; raises and returns None as those two do."""
        return self.server_of_key(token) if token.startswith(PREFIX) else self.user_of_token(token)

    def server_of_key(self, key: str) -> ApiKey:
        """Return the server of an API key that did not come in a request's header.

        Raises LaurelsError API_KEY_INVALID, or FORBIDDEN without the scope actions:write.
        """
        return _with_scope(self.keyring.verify(key), "actions:write")

    def check_current(self, principal: Principal) -> Principal:
        """Check that a verified token was not ended since. Raises LaurelsError BANNED or TOKEN_INVALID."""
        if principal.user_id in self.directory.blocked:
            raise LaurelsError(Code.BANNED, "This account is banned.")
        if self.revocations.ends(principal):
            raise LaurelsError(Code.TOKEN_INVALID, "This access token was ended. Log in again.")
        return principal

    async def authorize(self, caller: Principal | ApiKey, route: ProtectedRoute) -> None:
        """Check what only the ledger knows: that a signature is used for the first time, and the caller's role.

        The role in a token may be minutes old, and the token may have been ended while the body arrived.
        Raises LaurelsError SIGNATURE_REPLAYED, FORBIDDEN, BANNED or TOKEN_INVALID.
        """
        if isinstance(caller, Principal) and caller.user_id in self.revocations.users:
            self.check_current(caller)
        if isinstance(caller, SignedKey) and not await self.use_nonce(caller.id, caller.nonce):
            detail = "This signature was used before. Sign again, with a new nonce."
            raise LaurelsError(Code.SIGNATURE_REPLAYED, detail)
        roles = _ROLES.get(route.access)
        if roles is None or isinstance(caller, ApiKey):
            return
        if caller.role in roles:
            account = await self.accounts.by_id(caller.user_id)
            if account.role in roles and account.status == "active":
                return
        raise LaurelsError(Code.FORBIDDEN, f"Only {' or '.join(roles)} may do this.")


def presents_token(headers: Mapping[str, str]) -> bool:
    """Return whether a request that needs no token came with a user's, which is then verified and not ignored."""
    scheme, _, token = headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    return bool(token) and scheme.lower() == "bearer" and not token.startswith(PREFIX)


def scope_for(route: ProtectedRoute) -> str | None:
    """Return the scope that a key needs for this route; None: it takes no key."""
    if route.access == "server":
        return "actions:write"
    if route.access in _ROLES:
        return "admin:read" if route.method == hdrs.METH_GET else route.scope
    return None


def _within_scope(key: ApiKey, route: ProtectedRoute) -> ApiKey:
    scope = scope_for(route)
    if scope is None:
        raise LaurelsError(Code.FORBIDDEN, "This path is for people: it takes no API key.")
    return _with_scope(key, scope)


def _with_scope(key: ApiKey, scope: str) -> ApiKey:
    if scope not in key.scopes:
        raise LaurelsError(Code.FORBIDDEN, f"This needs a key with the scope {scope}.")
    return key


_WHAT_TO_SEND = {
    "user": "Send an access token: Authorization: Bearer …",
    "server": f"Send an API key (Authorization: Bearer lk_…), or sign the body ({signatures.HEADER}).",
    "moderator": "Send an access token or an API key: Authorization: Bearer …",
    "admin": "Send an access token or an API key: Authorization: Bearer …",
}
