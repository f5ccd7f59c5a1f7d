"""The tree of commands.

A group's module is imported only when one of its commands runs. Commands outside a group are always imported, because
`laurels --help` lists them; so their modules import what they work with inside the command.
"""

from __future__ import annotations

from cyclopts import App

from .. import __version__
from .audit import audit_app
from .demo import demo_app
from .node import config_app, openapi_app, serve_app
from .proof import migrate_app, rebuild_app, snapshot_app, verify_app
from .transfer import export_app, import_app

app = App(
    name="laurels",
    version=__version__,
    help="""Live scoreboards that resist cheating and never lose an acknowledged point.

Settings come from the environment: see `laurels config`.

Exit codes: 0 success; 1 the command ran and found something wrong (verify, rebuild, demo, import); 2 the command could
not be carried out; 141 the reader of the output went away.

Examples:

* `laurels serve`
* `laurels demo`
* `DATABASE_URL=postgresql://laurels:secret@db/laurels laurels verify`""",
)

GROUPS = {
    "user": ("users:user_app", "Accounts: create, list, show, ban, shadow, unban, role, password, logout, and more."),
    "keys": ("users:keys_app", "The keys that sign access tokens: rotate."),
    "api-key": ("api_keys:api_key_app", "API keys of servers: create, list, rotate, revoke."),
    "type": ("action_types:type_app", "Action types: list, show, create, edit, try."),
    "review": ("reviews:review_app", "Held actions: list, approve, reject."),
    "action": ("reviews:action_app", "Rows of the ledger: reverse."),
    "board": ("boards:board_app", "Boards: list, create, edit, archive, restore."),
    "settings": ("settings:settings_app", "Settings that may change while nodes run: list, set, unset."),
}
"""Name of a group -> where it is defined, and its help."""

for _command in (
    serve_app,
    config_app,
    openapi_app,
    verify_app,
    rebuild_app,
    snapshot_app,
    migrate_app,
    export_app,
    import_app,
    audit_app,
    demo_app,
):
    app.command(_command)
for _name, (_target, _help) in GROUPS.items():
    app.command(f"{__package__}.{_target}", name=_name, help=_help)
