"""Authorization: the rules for operators acting on accounts, and for API keys.

This is the only table of them. `ledger/authorization.py` applies it in the transaction of each change, to roles and
scopes that are locked there, so that HTTP, sockets and the command line obey the same rules at the time of the write.

- No operator acts on their own account, whatever their role.
- Moderators act on players, admins on all other accounts.
- An API key acts on players, within its scopes: otherwise an admin could judge their own account with a key.
- The command line acts for the owner of the machine, who is not an account.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, get_args

from .errors import Code, LaurelsError

Scope = Literal[
    "actions:write",
    "admin:read",
    "catalogue:write",
    "corrections:write",
    "users:write",
    "keys:write",
    "settings:write",
    "index:write",
]
SCOPES: tuple[Scope, ...] = get_args(Scope)


class Act(StrEnum):
    """Acts of an operator on an account, or on an action of that account."""

    REVIEW = "review"
    REVERSE = "reverse"
    ADJUST = "adjust"
    SET_STATUS = "set_status"
    ERASE = "erase"
    RESET_PASSWORD = "reset_password"  # noqa: S105  an act, not a secret
    SET_ROLE = "set_role"


@dataclass(frozen=True, slots=True)
class AccountRole:
    """An account as authorization sees it."""

    id: int
    role: str
    status: str


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """A server that presented an API key with these scopes."""

    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Machine:
    """The command line on the server, or the service itself."""


ActingParty = AccountRole | KeyHolder | Machine

_OPERATORS = frozenset({"moderator", "admin"})
_ADMINS = frozenset({"admin"})
_ROLES: dict[Act, frozenset[str]] = {
    Act.REVIEW: _OPERATORS,
    Act.REVERSE: _OPERATORS,
    Act.ADJUST: _ADMINS,
    Act.SET_STATUS: _OPERATORS,
    Act.ERASE: _ADMINS,
    Act.RESET_PASSWORD: _ADMINS,
    Act.SET_ROLE: _ADMINS,
}
_SCOPES: dict[Act, Scope] = {
    Act.REVIEW: "corrections:write",
    Act.REVERSE: "corrections:write",
    Act.ADJUST: "corrections:write",
    Act.SET_STATUS: "users:write",
    Act.ERASE: "users:write",
    Act.RESET_PASSWORD: "users:write",
    # No scope lets a key change roles.
}


def may_act_on(principal: ActingParty, act: Act, target: AccountRole) -> LaurelsError | None:
    """Return why `principal` may not do `act` to `target`, or None."""
    if isinstance(principal, Machine):
        return None
    if isinstance(principal, KeyHolder):
        return _may_key(principal, act, target)
    refusal = _lacks_role(principal, _ROLES[act])
    if refusal is not None:
        return refusal
    if principal.id == target.id:
        return _forbidden("Not your own account: ask another operator.")
    if principal.role != "admin" and target.role != "player":
        return _forbidden(f"Only an admin may act on the account of {_a(target.role)}.")
    return None


def may_change(principal: ActingParty, scope: Scope) -> LaurelsError | None:
    """Return why `principal` may not change what `scope` covers where no account is involved, or None."""
    if isinstance(principal, Machine):
        return None
    if isinstance(principal, AccountRole):
        return _lacks_role(principal, _ADMINS)
    return None if scope in principal.scopes else _lacks(scope)


def may_manage_key(principal: ActingParty, scopes: Collection[str]) -> LaurelsError | None:
    """Return why `principal` may not make, rotate or revoke a key with these scopes, or None.

    A key manages keys that may do no more than itself: making or rotating a key reveals its secret.
    """
    refusal = may_change(principal, "keys:write")
    if refusal is not None or not isinstance(principal, KeyHolder):
        return refusal
    missing = sorted(set(scopes) - principal.scopes)
    return _forbidden(f"A key manages no key that may do more than itself: it lacks {missing[0]}.") if missing else None


def _may_key(key: KeyHolder, act: Act, target: AccountRole) -> LaurelsError | None:
    scope = _SCOPES.get(act)
    if scope is None:
        return _forbidden("No API key may change roles.")
    if scope not in key.scopes:
        return _lacks(scope)
    if target.role != "player":
        return _forbidden(f"An API key may not act on the account of {_a(target.role)}.")
    return None


def _lacks_role(account: AccountRole, roles: Collection[str]) -> LaurelsError | None:
    if account.role in roles and account.status == "active":
        return None
    return _forbidden(f"Only {' or '.join(sorted(roles, reverse=True))} may do this.")


def _a(role: str) -> str:
    return f"an {role}" if role == "admin" else f"a {role}"


def _lacks(scope: str) -> LaurelsError:
    return _forbidden(f"This needs a key with the scope {scope}.")


def _forbidden(detail: str) -> LaurelsError:
    return LaurelsError(Code.FORBIDDEN, detail)
