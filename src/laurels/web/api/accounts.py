"""Registration, log-in and log-out, passwords, and the caller's own account."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, NoReturn

import msgspec
from msgspec import Meta

from ...domain.errors import Code, LaurelsError
from ...domain.names import fold_name, parse_name
from ...ledger.accounts import accounts
from ...ledger.accounts.sessions import Lifetimes, LoginSession, NotGood
from ...ledger.events.audit import Actor
from ..auth.login_audit import LoginRecord
from ..http.responses import Reply, json_reply
from ..pipeline.call import Call
from ..pipeline.route import Route
from .boards import PlaceOnBoard, place_on
from .codes import LEDGER_AWAY, RANKS_AWAY
from .fields import AnyUsername, Email, Password, RefreshToken, Request, Username


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
    """`password`: the one in force."""

    password: Annotated[str, Meta(min_length=1, max_length=256, examples=["correct horse battery"])]
    new_password: Password


class Account(msgspec.Struct, frozen=True):
    id: int
    username: str
    role: str


class Tokens(msgspec.Struct, frozen=True):
    """`expires_in` is in seconds. A refresh token is good for one use; a lost reply may be asked for again."""

    access_token: str
    expires_in: int
    refresh_token: str
    user: Account
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  a scheme, not a secret


class RecentAction(msgspec.Struct, frozen=True):
    action_id: int
    action_type: str
    action_identifier: str
    score_earned: int
    new_score: int
    status: str
    completed_at: datetime
    created_at: datetime


class Me(msgspec.Struct, frozen=True):
    user: Account
    places: list[PlaceOnBoard]
    recent_actions: list[RecentAction]


class Jwks(msgspec.Struct, frozen=True):
    """RFC 7517 key set: the public halves of the keys that sign access tokens."""

    keys: list[dict[str, Any]]


class MeQuery(Request, frozen=True):
    recent: Annotated[int, Meta(ge=0, le=100, description="How many recent actions")] = 20


async def register(call: Call) -> Reply:
    """201 with tokens: a new user is logged in."""
    body = call.body
    if not call.services.live_settings.current.registration_open:
        raise LaurelsError(Code.REGISTRATION_CLOSED, "Registration is closed.")
    name = parse_name(body.username)
    hashed = await call.services.passwords.hash(body.password)
    account = await call.services.accounts.create(name, body.email, hashed)
    session = await call.services.sessions.start(account, _lifetimes(call))
    _attempt(call, account).log("registered")
    return json_reply(_tokens(call, session or _wrong()), 201)


async def login(call: Call) -> Tokens:
    """Answer the same in the same time for a name nobody has and for a wrong password."""
    name = fold_name(call.body.username)
    guess = await call.services.login_throttle.begin(name, call.address)
    with guess.undecided_on_refusal():
        found = None if "\0" in name else await call.services.accounts.for_login(name)
        account, stored = found if found is not None else (None, None)
        matches = await call.services.passwords.matches(stored, call.body.password)
    attempt = _attempt(call, account, name)
    if account is None or not matches or account.status == "erased":
        await call.services.login_audit.failed(attempt, "wrong name or password")
        _wrong()
    guess.succeeded()
    if account.status == "banned":
        await call.services.login_audit.failed(attempt, "banned")
        raise LaurelsError(Code.BANNED, "This account is banned.")
    session = await _start(call, account)
    attempt.log("login succeeded")
    return _tokens(call, session)


async def refresh(call: Call) -> Tokens:
    """Trade a refresh token for new tokens. Presented again, once its successor may be in use, its log-in ends."""
    session = await call.services.sessions.rotate(call.body.refresh_token, _lifetimes(call))
    if isinstance(session, NotGood):
        if session is NotGood.LOGIN_ENDED:
            await (
                call.services.wait_for_propagation()
            )  # the access tokens of whoever holds the other copy end now, on every node
        raise LaurelsError(Code.REFRESH_INVALID, "This refresh token is used, expired or revoked. Log in again.")
    return _tokens(call, session)


async def logout(call: Call) -> Reply:
    """End all tokens of this log-in, on every node."""
    if await call.services.sessions.end(call.body.refresh_token):
        await call.services.wait_for_propagation()
    return Reply(b"", 204, {})


async def logout_everywhere(call: Call) -> Reply:
    """End every token of the user that was issued so far, on every node."""
    await call.services.sessions.end_all(call.user.user_id, call.actor)
    await call.services.wait_for_propagation()
    return Reply(b"", 204, {})


async def change_password(call: Call) -> Tokens:
    """Set a new password, end every older token of the user on every node, and answer with tokens of a new log-in."""
    services, body = call.services, call.body
    account, stored = await services.accounts.credentials(call.user.user_id) or _wrong()
    if stored is None:
        raise LaurelsError(Code.FORBIDDEN, "This account has no password: it logs in elsewhere.")
    if not await knows_password(call, account, stored, body.password):
        _wrong()
    hashed = await services.passwords.hash(body.new_password)
    generation = await services.user_editor.change_password(account.id, stored, hashed, call.actor)
    if generation is None:
        _wrong()
    await services.wait_for_propagation()
    return _tokens(call, await _start(call, replace(account, generation=generation)))


async def knows_password(call: Call, account: accounts.AccountRecord, stored: str, password: str) -> bool:
    """Whether the sender knows the password; with nothing but a token one may guess as often as at the log-in."""
    guess = await call.services.login_throttle.begin(fold_name(account.username), call.address)
    with guess.undecided_on_refusal():
        knows = await call.services.passwords.matches(stored, password)
    if knows:
        guess.succeeded()
    else:
        await call.services.login_audit.failed(_attempt(call, account), "wrong password with a token")
    return knows


async def get_me(call: Call) -> Me:
    user = call.user
    account = await call.services.accounts.by_id(user.user_id)
    places = [
        await place_on(call, board, account.id, account.username) for board in call.services.catalogue.boards.values()
    ]
    rows = await call.services.readers.recent_actions(user.user_id, call.params.recent)
    return Me(
        Account(account.id, account.username, account.role),
        places,
        [
            RecentAction(
                row.action_id,
                row.action_type,
                row.action_identifier,
                row.score_earned,
                row.new_score,
                row.status,
                row.completed_at,
                row.created_at,
            )
            for row in rows
        ],
    )


async def jwks(call: Call) -> Jwks:
    return Jwks(call.services.tokens.jwks)


async def _start(call: Call, account: accounts.AccountRecord) -> LoginSession:
    by = Actor(f"user:{account.id}", call.own_request_id)
    return await call.services.sessions.start(account, _lifetimes(call), by, call.address) or _wrong()


def _tokens(call: Call, session: LoginSession) -> Tokens:
    tokens, account = call.services.tokens, session.account
    return Tokens(
        access_token=tokens.issue(account, session=session.id.hex),
        expires_in=tokens.lifetime,
        refresh_token=session.refresh_token,
        user=Account(account.id, account.username, account.role),
    )


def _lifetimes(call: Call) -> Lifetimes:
    services = call.services
    return Lifetimes(timedelta(days=services.options.refresh_days), timedelta(seconds=services.tokens.lifetime))


def _attempt(call: Call, account: accounts.AccountRecord | None, name: str = "") -> LoginRecord:
    who = f"user:{account.id}" if account is not None else f"name:{call.services.tokens.digest(name)}"
    chosen = call.request_id if call.own_request_id != call.request_id else None
    return LoginRecord(who, call.address, call.own_request_id, chosen)


def _wrong() -> NoReturn:
    raise LaurelsError(Code.CREDENTIALS_WRONG, "Username or password is wrong.")


ACCOUNTS: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/api/auth/register",
        handler=register,
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
        handler=logout,
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
        handler=logout_everywhere,
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
        handler=change_password,
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
        handler=get_me,
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
        handler=jwks,
        tag="Accounts",
        summary="The public keys of access tokens",
        replies={200: Jwks},
    ),
)
