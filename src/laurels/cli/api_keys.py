"""API keys of servers."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number
from rich.markup import escape
from rich.table import Table

from ..app import api_keys
from ..app.api_keys import NewApiKey
from ..domain.authorization import Scope
from ..ledger.accounts.api_keys import KeyDescription
from .argument_checks import check_request
from .flags import JsonFlag, ReasonFlag, examples
from .ledger import change, first_rows, read
from .operator import operator
from .output import out, print_json, say
from .process import load_settings

if TYPE_CHECKING:
    from ..web.auth.secret_box import SecretBox

api_key_app = App(name="api-key")

Name = Annotated[str, Parameter(help="What uses the key.")]
Scopes = Annotated[list[Scope], Parameter(name="--scope", negative=(), help="What the key may do; may be repeated.")]
Overlap = Annotated[
    float, Parameter(validator=Number(gte=0, lte=720), help="Hours for which the old secret stays valid.")
]


@api_key_app.command(
    name="create",
    help_epilogue=examples(
        'laurels api-key create "game server" --scope actions:write',
        "laurels api-key create backoffice --scope admin:read --scope corrections:write --json",
    ),
)
def api_key_create(name: Name, *, scope: Scopes, json: JsonFlag = False) -> None:
    """Create an API key. It is printed this once: the ledger keeps a hash."""
    from ..web.api.api_keys import CreateKey

    check_request(CreateKey, {"name": name, "scopes": scope})
    box = _secret_box()
    _show_once(change(lambda ledger: api_keys.create_api_key(ledger, box, name, scope, operator())), json)


@api_key_app.command(name="list", help_epilogue=examples("laurels api-key list", "laurels api-key list --json"))
def api_key_list(*, json: JsonFlag = False) -> None:
    """List all API keys, also revoked ones, without their secrets."""
    keys = read(lambda ledger: first_rows(lambda cursor, count: api_keys.list_api_keys(ledger, cursor, count)))
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
    """Give a key a new secret, printed this once; the old one stays valid for `--overlap` hours."""
    box, hours = _secret_box(), timedelta(hours=overlap)
    rotated = change(lambda ledger: api_keys.rotate_api_key(ledger, box, key_id, hours, operator(), reason))
    _show_once(rotated, json)


@api_key_app.command(name="revoke", help_epilogue=examples('laurels api-key revoke 3 --reason "no longer used"'))
def api_key_revoke(key_id: int, *, reason: ReasonFlag = None, json: JsonFlag = False) -> None:
    """Revoke a key permanently, within a second on every node."""
    key = change(lambda ledger: api_keys.revoke_api_key(ledger, key_id, operator(), reason))
    if json:
        print_json(key)
    else:
        say(f"Key {key.id} ([bold]{escape(key.name)}[/]) is revoked.")


def _secret_box() -> SecretBox:
    from ..web.auth.secret_box import SecretBox  # joserfc takes a tenth of a second to import

    return SecretBox(load_settings().encryption_key)


def _show_once(made: NewApiKey, json: bool) -> None:
    if json:
        print_json(made)
        return
    say(f"Key {made.key.id} ([bold]{escape(made.key.name)}[/]): {' '.join(made.key.scopes)}. Shown this once:")
    say(f"  API key         [bold]{made.api_key}[/]")
    say(f"  signing secret  [bold]{made.signing_secret}[/]")


def _state(key: KeyDescription) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return f"old secret until {_day(key.overlap_until)}" if key.overlap_until else ""


def _day(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M}"
