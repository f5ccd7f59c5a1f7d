"""Registration, log-in and log-out, passwords, and the caller's own account."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ...app import accounts, own_data
from ...app.accounts import Tokens
from ...app.context import AccountContext, OwnDataContext
from ...app.own_data import Me
from ...domain.errors import Code
from ..auth.access_tokens import AccessTokens
from ..fields import AnyUsername, Email, Password, RefreshToken, Request, Username
from ..http.responses import Reply, json_reply
from ..pipeline.call import Call
from ..pipeline.route import Route
from .codes import LEDGER_AWAY, RANKS_AWAY


class Register(Request, frozen=True):
    username: Username
    password: Password
    email: Email | None = None


class Login(Request, frozen=True):
    username: AnyUsername
    password: Annotated[str, Meta(min_length=1, max_length=256, examples=["correct horse battery"])]


class Refresh(Request, frozen=True):
    refresh_token: RefreshToken


class ChangePassword(Request, frozen=True):
    """`password` is the current one."""

    password: Annotated[str, Meta(min_length=1, max_length=256, examples=["correct horse battery"])]
    new_password: Password


class Jwks(msgspec.Struct, frozen=True):
    """RFC 7517 key set: the public halves of the keys that sign access tokens."""

    keys: list[dict[str, Any]]


class MeQuery(Request, frozen=True):
    recent: Annotated[int, Meta(ge=0, le=100, description="Number of recent actions")] = 20


async def register(context: AccountContext, call: Call) -> Reply:
    """Answer 201 with tokens: a new user is logged in."""
    body = call.body
    return json_reply(await accounts.register(context, call.origin, body.username, body.password, body.email), 201)


async def login(context: AccountContext, call: Call) -> Tokens:
    """Answer with the tokens of a new log-in."""
    return await accounts.log_in(context, call.origin, call.body.username, call.body.password)


async def refresh(context: AccountContext, call: Call) -> Tokens:
    """Answer with the tokens that follow a refresh token."""
    return await accounts.refresh(context, call.body.refresh_token)


async def logout(context: AccountContext, call: Call) -> Reply:
    """Answer 204 when all tokens of this log-in have ended."""
    await accounts.log_out(context, call.body.refresh_token)
    return Reply(b"", 204, {})


async def logout_everywhere(context: AccountContext, call: Call) -> Reply:
    """Answer 204 when every token of the caller has ended."""
    await accounts.log_out_everywhere(context, call.user.user_id, call.actor)
    return Reply(b"", 204, {})


async def change_password(context: AccountContext, call: Call) -> Tokens:
    """Answer with the tokens of a new log-in; all older ones have ended."""
    body = call.body
    return await accounts.change_password(
        context, call.origin, call.actor, call.user.user_id, body.password, body.new_password
    )


async def get_me(context: OwnDataContext, call: Call) -> Me:
    """Answer with the caller's places and recent actions."""
    return await own_data.read_me(context, call.user.user_id, call.params.recent)


async def jwks(tokens: AccessTokens, _: Call) -> Jwks:
    """Answer with the public keys of access tokens."""
    return Jwks(tokens.jwks)


ACCOUNTS: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/api/auth/register",
        handler=register,
        tag="Accounts",
        summary="Create an account and log in",
        description="A name that looks like an existing one counts as taken.",
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
        handler=login,
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
        handler=refresh,
        tag="Accounts",
        summary="Trade a refresh token for new tokens",
        description=(
            "A refresh token is valid for one use. Sent again within 20 seconds, because the reply was lost, it "
            "returns the same successor; later, or once that successor was used, every token of its log-in ends."
        ),
        body=Refresh,
        replies={200: Tokens},
        problems=(Code.REFRESH_INVALID, *LEDGER_AWAY),
    ),
    Route(
        method="POST",
        path="/api/auth/logout",
        handler=logout,
        tag="Accounts",
        summary="Log out",
        description="The access token, the refresh token and the sockets of this log-in end on every node.",
        body=Refresh,
        replies={204: None},
        problems=LEDGER_AWAY,
    ),
    Route(
        method="POST",
        path="/api/auth/logout-everywhere",
        handler=logout_everywhere,
        tag="Accounts",
        summary="Log out everywhere",
        description="Every token issued to me so far, also by an external issuer, and every socket of mine ends.",
        access="user",
        limit="user",
        replies={204: None},
        problems=LEDGER_AWAY,
    ),
    Route(
        method="POST",
        path="/api/me/password",
        handler=change_password,
        tag="Accounts",
        summary="Change my password",
        description="Ends all my log-ins and returns the tokens of a new one.",
        access="user",
        limit="login",
        body=ChangePassword,
        replies={200: Tokens},
        problems=(Code.CREDENTIALS_WRONG, *LEDGER_AWAY),
    ),
    Route(
        method="GET",
        path="/api/me",
        handler=get_me,
        tag="Accounts",
        summary="Get my places on every board and my recent actions",
        access="user",
        limit="user",
        params=MeQuery,
        replies={200: Me},
        problems=(Code.USER_UNKNOWN, *RANKS_AWAY),
    ),
    Route(
        method="GET",
        path="/.well-known/jwks.json",
        handler=jwks,
        tag="Accounts",
        summary="Get the public keys of access tokens",
        replies={200: Jwks},
    ),
)
