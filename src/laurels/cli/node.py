"""Running a node, its settings, and the document of its API."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number
from rich.markup import escape
from rich.table import Table

from .. import __version__
from .flags import JsonFlag, examples
from .output import bar, out, print_json, say
from .process import run, warn_of_unused

if TYPE_CHECKING:
    from ..config import Settings
    from ..first_admin import FirstAdmin

serve_app = App(
    name="serve",
    help_epilogue=examples(
        "laurels serve",
        "LAURELS_PORT=9000 LAURELS_DATA=/var/lib/laurels laurels serve",
        "DATABASE_URL=postgresql://laurels:secret@db/laurels laurels serve",
        "DATABASE_URL=… REDIS_URL=redis://cache laurels serve --workers 4",
    ),
)
config_app = App(name="config", help_epilogue=examples("LAURELS_PORT=9000 laurels config"))
openapi_app = App(name="openapi", help_epilogue=examples("laurels openapi > laurels.json"))


@serve_app.default
def serve(
    *,
    workers: Annotated[int | None, Parameter(validator=Number(gte=1, lte=64))] = None,
    role: Literal["api", "live", "worker", "all"] | None = None,
    worker: Annotated[bool, Parameter(negative=(), show=False)] = False,
) -> None:
    """Run a node: its own PostgreSQL under LAURELS_DATA unless DATABASE_URL is set.

    Ctrl-C or SIGTERM stops it in order: requests that have arrived are answered, and no process is left running.

    Parameters
    ----------
    workers
        Processes on the one port (instead of LAURELS_WORKERS). More than one needs REDIS_URL and DATABASE_URL.
    role
        What the node does (instead of LAURELS_ROLE): api (no live sockets), live (sockets and reads, no writes),
        worker (background work alone), or all.
    """
    from .. import config, telemetry

    given = {"LAURELS_WORKERS": workers, "LAURELS_ROLE": role}
    settings = config.load({**os.environ, **{name: str(value) for name, value in given.items() if value is not None}})
    telemetry.configure_logs(level=settings.log_level)
    warn_of_unused()
    _serve(settings, worker=worker)


def _serve(settings: Settings, *, worker: bool) -> None:
    from .. import runtime  # no other command needs the parts of a node
    from ..workers import supervise

    if settings.workers > 1 and not worker:
        _announce_workers(settings)
        run(supervise(settings))
        return

    with bar() as progress:
        task = progress.add_task("Loading standings", total=None, visible=False)

        def loading(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total, visible=True)

        def started(address: str, admin: FirstAdmin | None) -> None:
            progress.stop()
            _announce(address, admin)
            if worker:
                _announce_ready(sys.stdin.fileno())

        run(
            runtime.serve(
                settings,
                on_ready=started,
                on_load=loading,
                parent_pipe=sys.stdin.fileno() if worker else None,
                shows_password=sys.stdout.isatty(),
            )
        )


def _announce(address: str, admin: FirstAdmin | None) -> None:
    """Print the node's address on a terminal, or write it to the log."""
    if not sys.stdout.isatty():
        _log().info("live", version=__version__, url=f"{address}/", docs=f"{address}/api/docs")
        return
    if admin is not None and admin.password is not None:
        say(f"\nFirst admin: [bold]{admin.username}[/]  password: [bold]{admin.password}[/]  (shown this once)")
    say(f"\nLaurels {__version__} is live at [bold]{address}/[/]  (API docs: {address}/api/docs)\n")
    sys.stdout.flush()


def _announce_workers(settings: Settings) -> None:
    """Print how many workers start on a terminal, or write it to the log."""
    if not sys.stdout.isatty():
        _log().info("starting workers", version=__version__, url=f"{settings.url}/", workers=settings.workers)
        return
    say(f"\nLaurels {__version__}: {settings.workers} workers on {settings.url}/ (metrics: see the log)\n")
    sys.stdout.flush()


def _announce_ready(parent: int) -> None:
    """Tell the parent that this worker serves. The parent may have died, and without one there is nothing to tell."""
    with contextlib.suppress(OSError):
        os.write(parent, b"ready\n")


@config_app.default
def show_config(*, json: JsonFlag = False) -> None:
    """List every setting, its value in force, and what it means. NAME_FILE reads a value from a file."""
    from .. import config

    rows = config.describe(config.load())
    if json:
        print_json([{"name": name, "value": value, "help": meaning} for name, value, meaning in rows])
        return
    table = Table("variable", "value", "meaning")
    table.columns[0].no_wrap = True
    table.columns[1].overflow = "fold"
    for row in rows:
        table.add_row(*map(escape, row))
    out.print(table)


@openapi_app.default
def openapi() -> None:
    """Print the OpenAPI document."""
    from ..web.api.documents import api_documents

    sys.stdout.write(api_documents().openapi.decode() + "\n")


def _log() -> Any:
    import structlog  # `laurels --help` does without it

    return structlog.get_logger(__name__)
