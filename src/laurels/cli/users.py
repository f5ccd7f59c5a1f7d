"""Accounts, and the keys that sign their tokens."""

from __future__ import annotations

import secrets
from typing import Annotated

import msgspec
from cyclopts import App, Parameter
from rich.markup import escape
from rich.table import Table

from ..app import fairness, users
from ..app.admin_context import AdminContext
from ..app.users import AccountStatus, Role, Sort, UserSearch
from ..ledger.accounts.sanctions import Sanction
from ..ledger.accounts.user_editor import UserFilter
from ..ledger.db.paging import MAX_PAGE
from ..ledger.queries.score_history import LedgerEntry
from .flags import JsonFlag, Limit, ReasonFlag, RequiredReason, examples
from .ledger import change, change_user, first_rows, read, read_user
from .operator import operator
from .output import confirm, out, print_correction, print_json, say, say_of

user_app = App(name="user")
keys_app = App(name="keys")

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
    role: Role = "player",
    email: str | None = None,
    allow_similar: AllowSimilar = False,
    json: JsonFlag = False,
) -> None:
    """Create an account; its generated password is printed once."""
    account, password = read(
        lambda ledger: users.create_user(
            ledger, _hash_password, username, email, role, operator(), allow_similar=allow_similar
        )
    )
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
    status: AccountStatus | None = None,
    role: Role | None = None,
    sort: Sort = "newest",
    limit: Limit = 50,
    json: JsonFlag = False,
) -> None:
    """Find accounts: newest first, by name, or best first.

    Parameters
    ----------
    prefix
        How the name begins, in any case.
    """
    search = UserSearch(UserFilter(prefix, status, role), sort)
    found = read(
        lambda ledger: first_rows(lambda cursor, count: users.list_users(ledger, search, cursor, count), limit)
    )
    if json:
        print_json(found)
        return
    table = Table("id", "name", "role", "status", "score", "since")
    for user in found:
        since = user.created_at.date().isoformat()
        table.add_row(str(user.id), escape(user.username), user.role, user.status, f"{user.current_score:,}", since)
    out.print(table)


@user_app.command(name="show", help_epilogue=examples("laurels user show ada", "laurels user show ada --json"))
def user_show(username: str, *, json: JsonFlag = False) -> None:
    """Show one account."""
    user = read_user(username, users.get_user)
    if json:
        print_json(user)
        return
    table = Table(show_header=False)
    for member, value in msgspec.to_builtins(user).items():
        table.add_row(member, escape("" if value is None else str(value)))
    out.print(table)


@user_app.command(name="ban", help_epilogue=examples('laurels user ban mallory --reason "three forged runs"'))
def user_ban(username: str, *, reason: ReasonFlag = None, json: JsonFlag = False) -> None:
    """Remove a user from every board and lock them out, on every node. The ledger keeps its rows."""
    _set_status(username, "banned", reason)
    say_of(username, "is banned. `laurels user unban` restores the exact standing.", json, status="banned")


@user_app.command(name="shadow", help_epilogue=examples('laurels user shadow mallory --reason "under watch"'))
def user_shadow(username: str, *, reason: ReasonFlag = None, json: JsonFlag = False) -> None:
    """Hide a user from every board for everyone else; the user still sees themselves there."""
    _set_status(username, "shadowed", reason)
    say_of(username, "is shadowed. `laurels user unban` restores the exact standing.", json, status="shadowed")


@user_app.command(name="unban", help_epilogue=examples("laurels user unban mallory"))
def user_unban(username: str, *, reason: ReasonFlag = None, json: JsonFlag = False) -> None:
    """Lift a ban or a shadow ban: the user is back on every board with the same standing."""
    _set_status(username, "active", reason)
    say_of(username, "is active again.", json, status="active")


@user_app.command(name="role", help_epilogue=examples("laurels user role ada moderator"))
def user_role(username: str, role: Role, *, allow_similar: AllowSimilar = False, json: JsonFlag = False) -> None:
    """Make a user a player, moderator or admin."""
    change_user(
        username,
        lambda ledger, user_id: users.set_role(ledger, user_id, role, operator(), None, allow_similar=allow_similar),
    )
    say_of(username, f"is {role} now.", json, role=role)


@user_app.command(name="password", help_epilogue=examples("laurels user password admin"))
def user_password(username: str, *, json: JsonFlag = False) -> None:
    """Set a new generated password, printed once, and end every session of the user."""
    password = change_user(
        username, lambda ledger, user_id: users.reset_password(ledger, _hash_password, user_id, operator(), None)
    )
    say_of(username, f"has a new password, shown this once: [bold]{password}[/]", json, password=password)


@user_app.command(name="logout", help_epilogue=examples('laurels user logout ada --reason "lost laptop"'))
def user_logout(username: str, *, reason: ReasonFlag = None, json: JsonFlag = False) -> None:
    """End every session, token and live socket of the user, including tokens of an external issuer."""
    change_user(username, lambda ledger, user_id: users.end_sessions(ledger, user_id, operator(), reason))
    say_of(username, "is logged out everywhere.", json, sessions="ended")


@user_app.command(
    name="adjust",
    help_epilogue=examples(
        'laurels user adjust ada 50 --reason "lost in an outage"',
        'laurels user adjust ada --reason "given twice" -- -50',
    ),
)
def user_adjust(
    username: str,
    points: Annotated[int, Parameter(allow_leading_hyphen=True)],
    *,
    reason: RequiredReason,
    identifier: str | None = None,
    json: JsonFlag = False,
) -> None:
    """Give or take points by hand: a row of the ledger with its reason.

    Parameters
    ----------
    identifier
        Name of the adjustment among those of the user: the same name again changes nothing.
    """
    name = identifier or f"cli-{secrets.token_hex(8)}"
    correction = change_user(
        username, lambda ledger, user_id: fairness.adjust(ledger, user_id, points, name, operator(), reason)
    )
    print_correction(correction, json)


@user_app.command(name="ledger", help_epilogue=examples("laurels user ledger ada", "laurels user ledger ada --json"))
def user_ledger(username: str, *, limit: Limit = 50, json: JsonFlag = False) -> None:
    """Explain a user's score row by row, newest first; the rows that count add up to the total."""
    score, total, rows = read_user(username, lambda ledger, user_id: _score_history(ledger, user_id, limit))
    if json:
        print_json({"score": score, "total": total, "rows": rows})
        return
    table = Table("row", "what", "status", "counted", "why", "when")
    for row in rows:
        what = row.action_type or row.kind
        kind = "" if row.kind == "completion" else f" ({row.kind} of {row.reverses})" if row.reverses else ""
        undone = f"undone by {row.reversed_by}" if row.reversed_by else row.status
        when = row.created_at.isoformat(" ", "seconds")
        table.add_row(str(row.id), escape(what + kind), undone, f"{row.counted:,}", escape(row.explanation or ""), when)
    out.print(table)
    say(f"Score [bold]{score:,}[/]; all rows that count add up to {total:,}.")


@user_app.command(name="erase", help_epilogue=examples('laurels user erase ada --reason "asked for it" --yes'))
def user_erase(
    username: str,
    *,
    reason: ReasonFlag = None,
    yes: Annotated[bool, Parameter(negative=(), help="Don't ask for confirmation.")] = False,
    json: JsonFlag = False,
) -> None:
    """Erase a user's personal data permanently; the ledger keeps its rows under a pseudonym."""
    confirm(f"Erase {username}? This can't be undone.", yes=yes)
    change_user(username, lambda ledger, user_id: fairness.erase_user(ledger, user_id, username, operator(), reason))
    if json:
        print_json({"username": username, "status": "erased"})
    else:
        say(f"[bold]{escape(username)}[/] is erased.")


@keys_app.command(name="rotate", help_epilogue=examples("laurels keys rotate"))
def keys_rotate(*, json: JsonFlag = False) -> None:
    """Sign with a new key from now on. Tokens signed with the old key stay valid until they expire."""
    from ..web.auth.access_tokens import new_signing_key  # joserfc takes a tenth of a second to import

    kid, jwk = new_signing_key()
    change(lambda ledger: ledger.accounts.rotate_signing_key(kid, jwk))
    if json:
        print_json({"kid": kid})
    else:
        say(f"Now signing with {kid}.")


async def _score_history(ledger: AdminContext, user_id: int, limit: int) -> tuple[int, int, list[LedgerEntry]]:
    """Return (score in the default board, sum of all rows that count, the newest `limit` rows)."""
    rows: list[LedgerEntry] = []
    cursor = None
    while True:
        part = await fairness.read_score_history(ledger, user_id, cursor, min(MAX_PAGE, limit - len(rows)))
        rows += part.page.rows
        cursor = part.page.next
        if cursor is None or len(rows) >= limit:
            return part.score, part.total, rows


def _set_status(username: str, status: Sanction, reason: str | None) -> None:
    change_user(username, lambda ledger, user_id: users.set_status(ledger, user_id, status, operator(), reason))


async def _hash_password(password: str) -> str:
    from ..web.auth.passwords import Passwords  # argon2 is needed by two commands

    return await Passwords(1).hash(password)
