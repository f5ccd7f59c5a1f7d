"""Who is asking, and whether they may.

A user shows an access token (ours, or one of an outside issuer), a server an API key; both as
`Authorization: Bearer …`. What a route asks for (`Route.access`):

    public       nothing; nothing is looked at
    viewer       nothing, but a user's token is looked at: who is shadowed sees another board. A key is nobody
    user         a user's token. A key is refused: it speaks for no one user
    server       a key with the scope actions:write, shown or proved by a signed body. Users are refused
    moderator    a token of that role or of an admin's, or a key: admin:read for GET, else the scope of the route
    admin        a token of an admin's, or a key likewise

No scope implies another. Whom an operator or a key may act on is decided in the transaction of the act
(`domain/authorization.py`).
"""

from __future__ import annotations

from aiohttp import hdrs, web

from ...domain.errors import Code, LaurelsError
from ...ledger.accounts.nonces import use_nonce
from ..http.call import Route
from ..services import Services
from . import signatures
from .access_tokens import Principal
from .keyring import PREFIX, ApiKey
from .signatures import Signatory

_ROLES = {"moderator": ("moderator", "admin"), "admin": ("admin",)}


def authenticate(services: Services, request: web.Request, route: Route) -> Principal | ApiKey | None:
    """Who sent a request to a route that is not public; no I/O. None: `introduce` must ask its issuer's keys.

    Raises LaurelsError TOKEN_MISSING, TOKEN_INVALID, TOKEN_EXPIRED, API_KEY_INVALID, BANNED or FORBIDDEN.
    """
    authorization = request.headers.get(hdrs.AUTHORIZATION, "")
    principal = services.tokens.cached(authorization)  # most requests end here: nothing is taken apart before it
    if principal is not None:
        user_id = principal.user_id
        if user_id in services.directory.blocked or user_id in services.revocations.users or route.access == "server":
            return _checked_standing(services, principal, route)
        return principal
    return _authenticate_slowly(services, authorization, request, route)


def _authenticate_slowly(
    services: Services, authorization: str, request: web.Request, route: Route
) -> Principal | ApiKey | None:
    scheme, _, token = authorization.partition(" ")
    if not token or scheme.lower() != "bearer":
        signed = request.headers.get(signatures.HEADER)
        if signed is None or route.access != "server":
            raise LaurelsError(Code.TOKEN_MISSING, _WHAT_TO_SEND[route.access])
        return _within_scope(signatures.read(signed, services.keyring), route)
    if token.startswith(PREFIX):
        return _within_scope(services.keyring.verify(token), route)
    principal = services.external_tokens.cached(token)
    if principal is None:
        if services.external_tokens.is_external(token):
            return None
        principal = services.tokens.verify(token, authorization)
    return _checked_standing(services, principal, route)


async def authenticate_external(services: Services, request: web.Request, route: Route) -> Principal:
    """Who holds a token of an outside issuer that was not seen lately.

    Raises LaurelsError TOKEN_INVALID, TOKEN_EXPIRED, ISSUER_UNAVAILABLE, REGISTRATION_CLOSED, DATABASE_UNAVAILABLE,
    BANNED or FORBIDDEN.
    """
    token = request.headers[hdrs.AUTHORIZATION].partition(" ")[2]
    return _checked_standing(services, await services.external_tokens.verify(token), route)


def _checked_standing(services: Services, principal: Principal, route: Route) -> Principal:
    check_current(services, principal)
    if route.access == "server":
        raise LaurelsError(Code.FORBIDDEN, "This path is for servers: it takes an API key.")
    return principal


def user_of_token(services: Services, token: str) -> Principal | None:
    """Whose access token this is, outside a request; None: an outside issuer must be asked, see `introduced_user`.

    Raises LaurelsError TOKEN_INVALID, TOKEN_EXPIRED or BANNED.
    """
    principal = services.external_tokens.cached(token)
    if principal is None:
        if services.external_tokens.is_external(token):
            return None
        principal = services.tokens.verify(token, f"Bearer {token}")
    return check_current(services, principal)


async def external_user_of(services: Services, token: str) -> Principal:
    """Who holds a token of an outside issuer. Raises as `introduce` does."""
    return check_current(services, await services.external_tokens.verify(token))


def caller_of_token(services: Services, token: str) -> Principal | ApiKey | None:
    """Whose token or API key this is, outside a request: `known_server` or `known_user`."""
    return server_of_key(services, token) if token.startswith(PREFIX) else user_of_token(services, token)


def server_of_key(services: Services, key: str) -> ApiKey:
    """Whose API key this is, outside a request.

    Raises LaurelsError API_KEY_INVALID, or FORBIDDEN without the scope actions:write.
    """
    return _with_scope(services.keyring.verify(key), "actions:write")


def check_current(services: Services, principal: Principal) -> Principal:
    """Check that a token which was good has not been ended since. Raises LaurelsError BANNED or TOKEN_INVALID."""
    if principal.user_id in services.directory.blocked:
        raise LaurelsError(Code.BANNED, "This account is banned.")
    if services.revocations.ends(principal):
        raise LaurelsError(Code.TOKEN_INVALID, "This access token was ended. Log in again.")
    return principal


def presents_token(request: web.Request) -> bool:
    """Whether a request that needs no token came with a user's. One that is not good is then not ignored in silence."""
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    return bool(token) and scheme.lower() == "bearer" and not token.startswith(PREFIX)


async def authorize(services: Services, caller: Principal | ApiKey, route: Route) -> None:
    """What only the ledger can say: whether a signature is used for the first time, and who has a role.

    The role in a token may be minutes old; and the token may have been ended while the body arrived.
    Raises LaurelsError SIGNATURE_REPLAYED, FORBIDDEN, BANNED or TOKEN_INVALID.
    """
    if isinstance(caller, Principal) and caller.user_id in services.revocations.users:
        check_current(services, caller)
    if isinstance(caller, Signatory) and not await use_nonce(services.pool, caller.id, caller.nonce):
        raise LaurelsError(Code.SIGNATURE_REPLAYED, "This signature was used before. Sign anew, with a new nonce.")
    roles = _ROLES.get(route.access)
    if roles is None or isinstance(caller, ApiKey):
        return
    if caller.role in roles:
        account = await services.accounts.by_id(caller.user_id)
        if account.role in roles and account.status == "active":
            return
    raise LaurelsError(Code.FORBIDDEN, f"Only {' or '.join(roles)} may do this.")


def scope_for(route: Route) -> str | None:
    """The scope of a key that this route takes; None: it takes no key."""
    if route.access == "server":
        return "actions:write"
    if route.access in _ROLES:
        return "admin:read" if route.method == hdrs.METH_GET else route.scope
    return None


def _within_scope(key: ApiKey, route: Route) -> ApiKey:
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
