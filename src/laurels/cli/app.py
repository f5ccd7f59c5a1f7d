"""The tree of commands, the flags that many share, and how a command runs."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Annotated, Any

import structlog
from cyclopts import App, Parameter
from cyclopts.validators import Number

from .. import __version__, config, event_loop, telemetry
from ..config import Settings
from ..operations.explaining import is_reason

log = structlog.get_logger(__name__)

app = App(
    name="laurels",
    version=__version__,
    help="""Live scoreboards that resist cheating and never lose an acknowledged point.

Settings come from the environment: see `laurels config`.

Exit codes: 0 done; 1 done, and something is wrong (verify, rebuild, demo, import); 2 could not be done; 141 the reader
of the output is gone.

Examples:

* `laurels serve`
* `laurels demo`
* `DATABASE_URL=postgresql://laurels:secret@db/laurels laurels verify`""",
)
user_app = App(name="user", help="Accounts: create, list, show, ban, shadow, unban, role, password, logout.")
keys_app = App(name="keys", help="The keys that sign access tokens.")
review_app = App(name="review", help="Held actions: list, approve, reject.")
action_app = App(name="action", help="Rows of the ledger: reverse.")
type_app = App(name="type", help="Action types: list, show, create, edit, try.")
board_app = App(name="board", help="Boards: list, create, edit, archive, restore.")
settings_app = App(name="settings", help="Settings that may change while nodes run: list, set, unset.")
api_key_app = App(name="api-key", help="API keys of servers: create, list, rotate, revoke.")
app.command(user_app)
app.command(keys_app)
app.command(api_key_app)
app.command(type_app)
app.command(review_app)
app.command(action_app)
app.command(board_app)
app.command(settings_app)

JsonFlag = Annotated[bool, Parameter(name="--json", negative=(), help="Print JSON for machines.")]


def _check_reason(_: object, reason: str | None) -> None:
    """Hold a reason to what the API takes."""
    if reason is not None and not is_reason(reason):
        raise ValueError("a reason has 1 to 500 characters, none of them a control character.")


WhyFlag = Annotated[str, Parameter(name="--reason", validator=_check_reason, help="Why, for the audit trail.")]
ReasonFlag = Annotated[
    str | None, Parameter(name="--reason", validator=_check_reason, help="Why, for the audit trail.")
]
Positive = Annotated[float, Parameter(validator=Number(gt=0, lte=1_000_000))]
NodeFlag = Annotated[
    str | None, Parameter(help="Address of the node to ask; by default LAURELS_HOST and LAURELS_PORT.")
]


def examples(*lines: str) -> str:
    """What the help of a command ends with."""
    return "Examples:\n\n" + "\n".join(f"* `{line}`" for line in lines)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return event_loop.run(work)


def settings() -> Settings:
    """For commands, whose output is their answer: logs from warnings up, unless debugging."""
    found = config.load()
    telemetry.configure_logs(level="warning" if found.log_level.lower() == "info" else found.log_level)
    warn_of_unused()
    return found


def warn_of_unused() -> None:
    """Log what is set under the name of a setting without being one."""
    for line in config.unused():
        log.warning(line)
