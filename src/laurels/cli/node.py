"""Running a node, and what there is to know of it."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Annotated, Literal

import structlog
from cyclopts import Parameter
from cyclopts.validators import Number
from rich.markup import escape
from rich.table import Table

from .. import __version__, config, telemetry
from ..config import Settings
from .app import JsonFlag, app, examples, run, warn_of_unused
from .output import bar, out, print_json, say

if TYPE_CHECKING:
    from ..first_admin import FirstAdmin

log = structlog.get_logger(__name__)


@app.command(
    help_epilogue=examples(
        "laurels serve",
        "LAURELS_PORT=9000 LAURELS_DATA=/var/lib/laurels laurels serve",
        "DATABASE_URL=postgresql://laurels:secret@db/laurels laurels serve",
        "DATABASE_URL=… REDIS_URL=redis://cache laurels serve --workers 4",
    )
)
def serve(
    *,
    workers: Annotated[int | None, Parameter(validator=Number(gte=1, lte=64))] = None,
    role: Literal["api", "live", "worker", "all"] | None = None,
    worker: Annotated[bool, Parameter(negative=(), show=False)] = False,
) -> None:
    """Run a node: its own PostgreSQL under LAURELS_DATA unless DATABASE_URL is set.

    Ctrl-C (or SIGTERM) stops it in order: requests that have arrived are answered, and nothing is left running.

    Parameters
    ----------
    workers
        Processes on the one port (instead of LAURELS_WORKERS). More than one needs REDIS_URL and DATABASE_URL.
    role
        What the node does (instead of LAURELS_ROLE): api (no live sockets), live (sockets and reads, no writes),
        worker (nothing but what runs beside requests), or all.
    """
    given = {"LAURELS_WORKERS": workers, "LAURELS_ROLE": role}
    settings = config.load({**os.environ, **{name: str(value) for name, value in given.items() if value is not None}})
    telemetry.configure_logs(level=settings.log_level)
    warn_of_unused()
    _serve(settings, worker=worker)


def _serve(settings: Settings, *, worker: bool) -> None:
    from .. import runtime  # lazily, like all that a node is made of: other commands need none of it
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
    """Say where the node is: to a person, or to the log like everything else."""
    if not sys.stdout.isatty():
        log.info("live", version=__version__, url=f"{address}/", docs=f"{address}/api/docs")
        return
    if admin is not None and admin.password is not None:
        say(f"\nFirst admin: [bold]{admin.username}[/]  password: [bold]{admin.password}[/]  (shown this once)")
    say(f"\nLaurels {__version__} is live at [bold]{address}/[/]  (API docs: {address}/api/docs)\n")
    sys.stdout.flush()


def _announce_workers(settings: Settings) -> None:
    if not sys.stdout.isatty():
        log.info("starting workers", version=__version__, url=f"{settings.url}/", workers=settings.workers)
        return
    say(f"\nLaurels {__version__}: {settings.workers} workers on {settings.url}/ (metrics: see the log)\n")
    sys.stdout.flush()


def _announce_ready(parent: int) -> None:
    """Tell the process that started this worker; it may have died meanwhile, and by hand there is none."""
    with contextlib.suppress(OSError):
        os.write(parent, b"ready\n")


@app.command(name="config", help_epilogue=examples("LAURELS_PORT=9000 laurels config"))
def show_config(*, json: JsonFlag = False) -> None:
    """List every setting, its value in force, and what it means. NAME_FILE reads a value from a file."""
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


@app.command(help_epilogue=examples("laurels openapi > laurels.json"))
def openapi() -> None:
    """Print the OpenAPI document."""
    from ..web.api.documents import api_documents

    sys.stdout.write(api_documents().openapi.decode() + "\n")
