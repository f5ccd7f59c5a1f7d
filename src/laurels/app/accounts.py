"""Registration, log-in and log-out, the own password, and the erasure of the own account."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal, NoReturn

import msgspec

from ..domain.errors import Code, LaurelsError
from ..domain.names import fold_name, parse_name
from ..ledger.accounts import erasure
from ..ledger.accounts.accounts import AccountRecord
from ..ledger.accounts.sessions import Lifetimes, LoginSession, NotGood
from ..ledger.events.audit import Actor
from .context import AccountContext
from .login_audit import LoginRecord


class Account(msgspec.Struct, frozen=True):
    id: int
    username: str
    role: str


class Tokens(msgspec.Struct, frozen=True):
    """`expires_in` is in seconds. A refresh token is valid for one use; after a lost reply it may be sent again."""

    access_token: str
    expires_in: int
    refresh_token: str
    user: Account
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  a scheme, not a secret


@dataclass(frozen=True, slots=True)
class RequestOrigin:
    """The sender of a request. `request_id` is the node's own; `client_request_id` one that the caller chose."""

    address: str
    request_id: str
    client_request_id: str | None = None


async def register(
    context: AccountContext, origin: RequestOrigin, username: str, password: str, email: str | None
) -> Tokens:
    """Create an account and log it in.

    Raises LaurelsError REGISTRATION_CLOSED, USERNAME_INVALID, USERNAME_TAKEN, EMAIL_TAKEN or OVERLOADED.
    """
    if not context.settings.current.registration_open:
        raise LaurelsError(Code.REGISTRATION_CLOSED, "Registration is closed.")
    name = parse_name(username)
    account = await context.accounts.create(name, email, await context.passwords.hash(password))
    session = await context.sessions.start(account, _lifetimes(context))
    _record_of(context, origin, account).log("registered")
    return _tokens(context, session or _wrong())


async def log_in(context: AccountContext, origin: RequestOrigin, username: str, password: str) -> Tokens:
    """Open a log-in. An unknown name and a wrong password are answered alike, in the same time.

    Raises LaurelsError CREDENTIALS_WRONG, BANNED, RATE_LIMITED or OVERLOADED.
    """
    name = fold_name(username)
    attempt = await context.login_throttle.begin(name, origin.address)
    with attempt.undecided_on_refusal():
        found = None if "\0" in name else await context.accounts.for_login(name)
        account, stored = found if found is not None else (None, None)
        matches = await context.passwords.matches(stored, password)
    record = _record_of(context, origin, account, name)
    if account is None or not matches or account.status == "erased":
        await context.audit.failed(record, "wrong name or password")
        _wrong()
    attempt.succeeded()
    if account.status == "banned":
        await context.audit.failed(record, "banned")
        raise LaurelsError(Code.BANNED, "This account is banned.")
    session = await _start_session(context, origin, account)
    record.log("login succeeded")
    return _tokens(context, session)


async def refresh(context: AccountContext, refresh_token: str) -> Tokens:
    """Trade a refresh token for new tokens. Sent again once its successor may be in use, it ends its log-in.

    Raises LaurelsError(REFRESH_INVALID).
    """
    session = await context.sessions.rotate(refresh_token, _lifetimes(context))
    if isinstance(session, NotGood):
        if session is NotGood.LOGIN_ENDED:
            # The access tokens of the other holder end on every node before this one is answered.
            await context.wait_for_propagation()
        raise LaurelsError(Code.REFRESH_INVALID, "This refresh token is used, expired or revoked. Log in again.")
    return _tokens(context, session)


async def log_out(context: AccountContext, refresh_token: str) -> None:
    """End all tokens of one log-in, on every node."""
    if await context.sessions.end(refresh_token):
        await context.wait_for_propagation()


async def log_out_everywhere(context: AccountContext, user_id: int, actor: Actor) -> None:
    """End every token of a user that was issued so far, on every node."""
    await context.sessions.end_all(user_id, actor)
    await context.wait_for_propagation()


async def change_password(
    context: AccountContext, origin: RequestOrigin, actor: Actor, user_id: int, password: str, new_password: str
) -> Tokens:
    """Set a new password, end every older token of the user on every node, and open a log-in.

    Raises LaurelsError CREDENTIALS_WRONG, FORBIDDEN, RATE_LIMITED or OVERLOADED.
    """
    account, stored = await context.accounts.credentials(user_id) or _wrong()
    if stored is None:
        raise LaurelsError(Code.FORBIDDEN, "This account has no password: it logs in elsewhere.")
    if not await _knows_password(context, origin, account, stored, password):
        _wrong()
    hashed = await context.passwords.hash(new_password)
    generation = await context.users.change_password(account.id, stored, hashed, actor)
    if generation is None:
        _wrong()
    await context.wait_for_propagation()
    return _tokens(context, await _start_session(context, origin, replace(account, generation=generation)))


async def erase(
    context: AccountContext, origin: RequestOrigin, actor: Actor, user_id: int, username: str, password: str | None
) -> None:
    """Erase a user's personal data permanently, confirmed by the exact username and, if there is one, the password.

    Raises LaurelsError USER_UNKNOWN, CREDENTIALS_WRONG, LAST_ADMIN or RATE_LIMITED.
    """
    found = await context.accounts.credentials(user_id)
    if found is None:
        raise LaurelsError(Code.USER_UNKNOWN, "This account no longer exists.")
    account, stored = found
    confirmed = account.username == username and (
        stored is None or await _knows_password(context, origin, account, stored, password or "")
    )
    if not confirmed:
        raise LaurelsError(Code.CREDENTIALS_WRONG, "Send your username as it is written, and your password.")
    await erasure.erase_own(context.pool, actor, user_id, "asked for by the user")
    await context.wait_for_propagation()


async def _knows_password(
    context: AccountContext, origin: RequestOrigin, account: AccountRecord, stored: str, password: str
) -> bool:
    """Return whether a password is right. With a stolen token one may guess as often as at the log-in."""
    attempt = await context.login_throttle.begin(fold_name(account.username), origin.address)
    with attempt.undecided_on_refusal():
        knows = await context.passwords.matches(stored, password)
    if knows:
        attempt.succeeded()
    else:
        await context.audit.failed(_record_of(context, origin, account), "wrong password with a token")
    return knows


async def _start_session(context: AccountContext, origin: RequestOrigin, account: AccountRecord) -> LoginSession:
    by = Actor(f"user:{account.id}", origin.request_id)
    return await context.sessions.start(account, _lifetimes(context), by, origin.address) or _wrong()


def _tokens(context: AccountContext, session: LoginSession) -> Tokens:
    account = session.account
    return Tokens(
        access_token=context.tokens.issue(account, session=session.id.hex),
        expires_in=context.tokens.lifetime,
        refresh_token=session.refresh_token,
        user=Account(account.id, account.username, account.role),
    )


def _lifetimes(context: AccountContext) -> Lifetimes:
    return Lifetimes(context.refresh_life, timedelta(seconds=context.tokens.lifetime))


def _record_of(
    context: AccountContext, origin: RequestOrigin, account: AccountRecord | None, name: str = ""
) -> LoginRecord:
    """Return what is logged of an attempt. Unknown names are digested: people type passwords into the wrong field."""
    subject = f"user:{account.id}" if account is not None else f"name:{context.tokens.digest(name)}"
    return LoginRecord(subject, origin.address, origin.request_id, origin.client_request_id)


def _wrong() -> NoReturn:
    raise LaurelsError(Code.CREDENTIALS_WRONG, "Username or password is wrong.")
