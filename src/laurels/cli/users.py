"""Accounts, and the keys that sign their tokens."""

from __future__ import annotations

import secrets
from typing import Annotated

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number
from rich.markup import escape
from rich.table import Table

from .. import operations
from .app import JsonFlag, ReasonFlag, examples, keys_app, run, settings, user_app
from .output import out, print_json, say, say_of

AllowSimilar = Annotated[
    bool, Parameter(negative=(), help="Also when an operator's name, or a reserved one, is similar within its script.")
]


@user_app.command(
    name="create",
    help_epilogue=examples(
        "laurels user create ada --role admin", 'laurels user create "Ada Ember" --email ada@example.org --json'
    ),
)
def user_create(
    username: str,
    *,
    role: operations.Role = "player",
    email: str | None = None,
    allow_similar: AllowSimilar = False,
    json: JsonFlag = False,
) -> None:
    """Create an account; its generated password is printed once."""
    password = secrets.token_urlsafe(12)
    account = run(operations.create_user(settings(), username, email, password, role, allow_similar=allow_similar))
    if json:
        print_json({"username": account.username, "role": account.role, "password": password})
    else:
        name = escape(account.username)
        say(f"Created [bold]{name}[/] ({role}). Password, shown this once: [bold]{password}[/]")


@user_app.command(
    name="list",
    help_epilogue=examples(
        "laurels user list", "laurels user list --prefix an --sort name", "laurels user list --sort score"
    ),
)
def user_list(
    *,
    prefix: str | None = None,
    status: operations.Status | None = None,
    role: operations.Role | None = None,
    sort: operations.Sort = "newest",
    limit: Annotated[int, Parameter(validator=Number(gte=1, lte=100_000))] = 50,
    json: JsonFlag = False,
) -> None:
    """Find accounts: newest first, by name, or best first.

    Parameters
    ----------
    prefix
        How the name begins, whatever its case.
    """
    wanted = operations.UserFilter(prefix, status, role)
    users = run(operations.list_users(settings(), wanted, sort, limit))
    if json:
        print_json(users)
        return
    table = Table("id", "name", "role", "status", "score", "since")
    for user in users:
        since = user.created_at.date().isoformat()
        table.add_row(str(user.id), escape(user.username), user.role, user.status, f"{user.current_score:,}", since)
    out.print(table)


@user_app.command(name="show", help_epilogue=examples("laurels user show ada", "laurels user show ada --json"))
def user_show(username: str, *, json: JsonFlag = False) -> None:
    """One account."""
    user = run(operations.get_user(settings(), username))
    if json:
        print_json(user)
        return
    table = Table(show_header=False)
    for member, value in msgspec.to_builtins(user).items():
        table.add_row(member, escape("" if value is None else str(value)))
    out.print(table)


@user_app.command(name="ban", help_epilogue=examples('laurels user ban mallory --reason "three forged runs"'))
def user_ban(username: str, *, reason: ReasonFlag = None, json: JsonFlag = False) -> None:
    """Off every board and locked out, on every node. The ledger keeps its rows."""
    run(operations.sanction(settings(), username, "banned", reason))
    say_of(username, "is banned. `laurels user unban` restores the exact standing.", json, status="banned")


@user_app.command(name="shadow", help_epilogue=examples('laurels user shadow mallory --reason "under watch"'))
def user_shadow(username: str, *, reason: ReasonFlag = None, json: JsonFlag = False) -> None:
    """Off every board for everybody else; the user goes on seeing themselves there."""
    run(operations.sanction(settings(), username, "shadowed", reason))
    say_of(username, "is shadowed. `laurels user unban` restores the exact standing.", json, status="shadowed")


@user_app.command(name="unban", help_epilogue=examples("laurels user unban mallory"))
def user_unban(username: str, *, reason: ReasonFlag = None, json: JsonFlag = False) -> None:
    """Lift a ban or a shadow: back on every board with the same standing."""
    run(operations.sanction(settings(), username, "active", reason))
    say_of(username, "is active again.", json, status="active")


@user_app.command(name="role", help_epilogue=examples("laurels user role ada moderator"))
def user_role(
    username: str, role: operations.Role, *, allow_similar: AllowSimilar = False, json: JsonFlag = False
) -> None:
    """Make someone player, moderator or admin."""
    run(operations.set_role(settings(), username, role, allow_similar=allow_similar))
    say_of(username, f"is {role} now.", json, role=role)


@user_app.command(name="password", help_epilogue=examples("laurels user password admin"))
def user_password(username: str, *, json: JsonFlag = False) -> None:
    """Set a new generated password, printed once, and end every session of the user."""
    password = secrets.token_urlsafe(12)
    run(operations.set_password(settings(), username, password))
    say_of(username, f"has a new password, shown this once: [bold]{password}[/]", json, password=password)


@user_app.command(name="logout", help_epilogue=examples('laurels user logout ada --reason "lost laptop"'))
def user_logout(username: str, *, reason: ReasonFlag = None, json: JsonFlag = False) -> None:
    """End every log-in, token and live socket of the user, also those of an outside issuer."""
    run(operations.end_sessions(settings(), username, reason))
    say_of(username, "is logged out everywhere.", json, sessions="ended")


@keys_app.command(name="rotate", help_epilogue=examples("laurels keys rotate"))
def keys_rotate(*, json: JsonFlag = False) -> None:
    """Sign with a new key from now on. Tokens of the old one stay good until they expire."""
    kid = run(operations.rotate_keys(settings()))
    if json:
        print_json({"kid": kid})
    else:
        say(f"Now signing with {kid}.")
