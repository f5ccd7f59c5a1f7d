"""API keys of servers."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.markup import escape
from rich.table import Table

from .. import operations
from ..ledger.accounts.api_keys import KeyDescription
from .app import JsonFlag, ReasonFlag, api_key_app, examples, run, settings
from .output import out, print_json, say

Name = Annotated[str, Parameter(help="What uses the key.")]
Scopes = Annotated[
    list[operations.Scope], Parameter(name="--scope", negative=(), help="What the key may do; may be repeated.")
]
Overlap = Annotated[float, Parameter(validator=Number(gte=0, lte=720), help="Hours that the old secret stays good.")]


@api_key_app.command(
    name="create",
    help_epilogue=examples(
        'laurels api-key create "game server" --scope actions:write',
        "laurels api-key create backoffice --scope admin:read --scope corrections:write --json",
    ),
)
def api_key_create(name: Name, *, scope: Scopes, json: JsonFlag = False) -> None:
    """Make an API key. It is printed this once: the ledger keeps a hash."""
    _show_once(run(operations.create_api_key(settings(), name, scope)), json)


@api_key_app.command(name="list", help_epilogue=examples("laurels api-key list", "laurels api-key list --json"))
def api_key_list(*, json: JsonFlag = False) -> None:
    """All API keys, revoked ones included, without their secrets."""
    keys = run(operations.list_api_keys(settings()))
    if json:
        print_json(keys)
        return
    table = Table("id", "name", "scopes", "created", "last used", "state")
    for key in keys:
        table.add_row(
            str(key.id),
            escape(key.name),
            " ".join(key.scopes),
            _day(key.created_at),
            _day(key.last_used_at),
            _state(key),
        )
    out.print(table)


@api_key_app.command(
    name="rotate",
    help_epilogue=examples("laurels api-key rotate 3", 'laurels api-key rotate 3 --overlap 0 --reason "leaked"'),
)
def api_key_rotate(key_id: int, *, overlap: Overlap = 24, reason: ReasonFlag = None, json: JsonFlag = False) -> None:
    """Give a key a new secret, printed this once; the old one stays good for `--overlap` hours."""
    _show_once(run(operations.rotate_api_key(settings(), key_id, timedelta(hours=overlap), reason)), json)


@api_key_app.command(name="revoke", help_epilogue=examples('laurels api-key revoke 3 --reason "no longer used"'))
def api_key_revoke(key_id: int, *, reason: ReasonFlag = None, json: JsonFlag = False) -> None:
    """End a key for good, within a second on every node."""
    key = run(operations.revoke_api_key(settings(), key_id, reason))
    if json:
        print_json(key)
    else:
        say(f"Key {key.id} ([bold]{escape(key.name)}[/]) is revoked.")


def _show_once(made: operations.NewApiKey, json: bool) -> None:
    key, text, signing = made
    if json:
        print_json({"key": key, "api_key": text, "signing_secret": signing})
        return
    say(f"Key {key.id} ([bold]{escape(key.name)}[/]): {' '.join(key.scopes)}. Shown this once:")
    say(f"  API key         [bold]{text}[/]")
    say(f"  signing secret  [bold]{signing}[/]")


def _state(key: KeyDescription) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return f"old secret until {_day(key.overlap_until)}" if key.overlap_until else ""


def _day(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M}"
