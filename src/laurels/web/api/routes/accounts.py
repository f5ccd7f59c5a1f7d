"""Registering, logging in and out, and who I am."""

from __future__ import annotations

from ....domain.errors import Code
from ...http.call import Route
from ..handlers import accounts
from ..wire.accounts import ChangePassword, Jwks, Login, Me, MeQuery, Refresh, Register, Tokens
from .codes import LEDGER_AWAY, RANKS_AWAY

ACCOUNTS: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/api/auth/register",
        handler=accounts.register,
        tag="Accounts",
        summary="Create an account and log in",
        description="Names that look like an existing one are taken too.",
        limit="login",
        body=Register,
        replies={201: Tokens},
        problems=(
            Code.REGISTRATION_CLOSED,
            Code.USERNAME_INVALID,
            Code.USERNAME_TAKEN,
            Code.EMAIL_TAKEN,
            *LEDGER_AWAY,
        ),
    ),
    Route(
        method="POST",
        path="/api/auth/login",
        handler=accounts.login,
        tag="Accounts",
        summary="Log in",
        limit="login",
        body=Login,
        replies={200: Tokens},
        problems=(Code.CREDENTIALS_WRONG, Code.BANNED, *LEDGER_AWAY),
    ),
    Route(
        method="POST",
        path="/api/auth/refresh",
        handler=accounts.refresh,
        tag="Accounts",
        summary="Trade a refresh token for new tokens",
        description=(
            "A refresh token is good for one use. Sent again within 20 seconds, because the reply was lost, it gets "
            "the same successor; later, or once that successor was used, every token of its log-in ends."
        ),
        body=Refresh,
        replies={200: Tokens},
        problems=(Code.REFRESH_INVALID, *LEDGER_AWAY),
    ),
    Route(
        method="POST",
        path="/api/auth/logout",
        handler=accounts.logout,
        tag="Accounts",
        summary="End this log-in",
        description="Its access token, its refresh token and its sockets end, on every node.",
        body=Refresh,
        replies={204: None},
        problems=LEDGER_AWAY,
    ),
    Route(
        method="POST",
        path="/api/auth/logout-everywhere",
        handler=accounts.logout_everywhere,
        tag="Accounts",
        summary="End all my log-ins",
        description="Every token of mine that was issued so far, also by an outside issuer, and every socket ends.",
        access="user",
        limit="user",
        replies={204: None},
        problems=LEDGER_AWAY,
    ),
    Route(
        method="POST",
        path="/api/me/password",
        handler=accounts.change_password,
        tag="Accounts",
        summary="Change my password",
        description="Ends all my log-ins, and answers with the tokens of a new one.",
        access="user",
        limit="login",
        body=ChangePassword,
        replies={200: Tokens},
        problems=(Code.CREDENTIALS_WRONG, *LEDGER_AWAY),
    ),
    Route(
        method="GET",
        path="/api/me",
        handler=accounts.get_me,
        tag="Accounts",
        summary="My places on every board, and my recent actions",
        access="user",
        limit="user",
        params=MeQuery,
        replies={200: Me},
        problems=(Code.USER_UNKNOWN, *RANKS_AWAY),
    ),
    Route(
        method="GET",
        path="/.well-known/jwks.json",
        handler=accounts.jwks,
        tag="Accounts",
        summary="The public keys of access tokens",
        replies={200: Jwks},
    ),
)
