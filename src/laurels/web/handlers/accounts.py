"""Registering, logging in and out, and who I am."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from ...domain.errors import Code, LaurelsError
from ...domain.names import fold_name, parse_name
from ...ledger import accounts
from ..call import Call, Reply, json_reply
from ..wire.accounts import Account, Jwks, Me, RecentAction, Tokens
from .boards import place_on


async def register(call: Call) -> Reply:
    """201 with tokens: whoever has just registered is logged in."""
    body = call.body
    if not call.services.live_settings.current.registration_open:
        raise LaurelsError(Code.REGISTRATION_CLOSED, "No accounts are made here at present.")
    name = parse_name(body.username)
    hashed = await call.services.passwords.hash(body.password)
    account = await call.services.accounts.create(name, body.email, hashed)
    return json_reply(await _fresh_tokens(call, account), 201)


async def login(call: Call) -> Tokens:
    """The same answer in the same time for a name nobody has and for a wrong password."""
    name = fold_name(call.body.username)
    guess = call.services.guesses.begin(name, call.address)
    with guess.decided():
        found = None if "\0" in name else await call.services.accounts.for_login(name)
        account, stored = found if found is not None else (None, None)
        matches = await call.services.passwords.matches(stored, call.body.password)
    if account is None or not matches or account.status == "erased":
        raise LaurelsError(Code.CREDENTIALS_WRONG, "Username or password is wrong.")
    guess.succeeded()
    if account.status == "banned":
        raise LaurelsError(Code.BANNED, "This account is banned.")
    return await _fresh_tokens(call, account)


async def refresh(call: Call) -> Tokens:
    """Trades a refresh token for new tokens. Presented twice, all tokens of its log-in end."""
    token = secrets.token_urlsafe(32)
    account = await call.services.accounts.rotate_refresh(
        _digest(call.body.refresh_token), _digest(token), _refresh_life(call)
    )
    if account is None:
        raise LaurelsError(Code.REFRESH_INVALID, "This refresh token is used, expired or revoked. Log in again.")
    return _tokens(call, account, token)


async def logout(call: Call) -> Reply:
    """Ends all tokens of this log-in; the access token lives out its minutes."""
    await call.services.accounts.revoke_refresh(_digest(call.body.refresh_token))
    return Reply(b"", 204, {})


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


async def _fresh_tokens(call: Call, account: accounts.Account) -> Tokens:
    token = secrets.token_urlsafe(32)
    await call.services.accounts.add_refresh(account.id, _digest(token), _refresh_life(call))
    return _tokens(call, account, token)


def _tokens(call: Call, account: accounts.Account, refresh_token: str) -> Tokens:
    tokens = call.services.tokens
    return Tokens(
        access_token=tokens.issue(account),
        expires_in=tokens.lifetime,
        refresh_token=refresh_token,
        user=Account(account.id, account.username, account.role),
    )


def _refresh_life(call: Call) -> timedelta:
    return timedelta(days=call.services.options.refresh_days)


def _digest(token: str) -> bytes:
    """Refresh tokens are 256 random bits: a plain hash suffices, there is nothing to guess."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
