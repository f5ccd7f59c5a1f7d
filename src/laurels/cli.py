"""`laurels …`: every command, thin. What can't start or can't be done is one line and exit code 2."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Coroutine
from typing import Annotated, Any

import cyclopts
import msgspec
import structlog
import uvloop
from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from . import __version__, config, operations, runtime, telemetry
from .config import ConfigError, Settings
from .domain.errors import LaurelsError
from .ledger.pool import DatabaseUnusable

app = App(
    name="laurels",
    version=__version__,
    help="Live scoreboards nobody can cheat, and no point is ever lost.\n\nSettings come from the environment: see `laurels config`.",
)
user_app = App(name="user", help="Accounts: create, ban, unban, role, password.")
keys_app = App(name="keys", help="The keys that sign access tokens.")
app.command(user_app)
app.command(keys_app)

out = Console()
err = Console(stderr=True)
JsonFlag = Annotated[bool, Parameter(name="--json", negative=(), help="Print JSON for machines.")]


def main() -> None:
    """Entry point: maps what went wrong to one line and an exit code."""
    try:
        code = app(exit_on_error=True, result_action="return_value")
    except (ConfigError, DatabaseUnusable, runtime.StartError) as error:
        _fail(str(error))
    except LaurelsError as error:
        _fail(error.detail)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(line: str) -> None:
    sys.stderr.write(f"laurels: {line}\n")
    sys.exit(2)


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    return uvloop.run(work)


def _settings() -> Settings:
    settings = config.load()
    telemetry.configure_logs(level=settings.log_level)
    return settings


@app.command
def serve() -> None:
    """Run a node: its own PostgreSQL under LAURELS_DATA unless DATABASE_URL is set.

    Example: LAURELS_PORT=9000 laurels serve
    """
    settings = _settings()

    def ready(address: str, admin: tuple[str, str] | None) -> None:
        if admin:
            out.print(f"\nFirst admin: [bold]{admin[0]}[/]  password: [bold]{admin[1]}[/]  (shown this once)")
        out.print(f"\nLaurels {__version__} is live at [bold]{address}/[/]  (API docs: {address}/api/docs)\n")
        sys.stdout.flush()

    with _bar("Loading standings") as progress:
        task = progress.add_task("Loading standings", total=None, visible=False)

        def loading(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total, visible=True)

        def started(address: str, admin: tuple[str, str] | None) -> None:
            progress.stop()
            ready(address, admin)

        _run(runtime.serve(settings, on_ready=started, on_load=loading))


@app.command
def verify(*, node: str | None = None, json: JsonFlag = False) -> int:
    """Prove that ledger, standings and index agree; exit code 1 when they do not.

    Folds the ledger anew and compares every score, builds an index and compares every rank with a sort
    in SQL, and asks the running node (at `--node`, or LAURELS_HOST and LAURELS_PORT) to compare its own.

    Examples:
      laurels verify
      laurels verify --node http://127.0.0.1:8000 --json
    """
    report = _run(operations.verify(_settings(), node))
    if json:
        out.print_json(msgspec.json.encode(report).decode())
    else:
        _print_verification(report)
    return 0 if report.clean else 1


@app.command
def rebuild(*, node: str | None = None, json: JsonFlag = False) -> int:
    """Repair: fold standings anew where they differ from the ledger, then rebuild the running node's index.

    Safe beside live writes, and to run twice.
    """
    report = _run(operations.rebuild(_settings(), node))
    if json:
        out.print_json(msgspec.json.encode(report).decode())
    else:
        out.print(f"Standings repaired: {report.repaired}")
        _print_verification(report.verification)
    return 0 if report.verification.clean else 1


@app.command
def snapshot(*, json: JsonFlag = False) -> None:
    """Freeze the top of every open window, its total, and everybody's rank, for ▲▼ movement and archives."""
    taken = _run(operations.snapshot(_settings()))
    if json:
        out.print_json(msgspec.json.encode(taken).decode())
        return
    table = Table("board", "snapshot", "taken at", "users")
    for item in taken:
        table.add_row(item.board, str(item.id), item.snapshot_time.isoformat(" ", "seconds"), f"{item.total_users:,}")
    out.print(table)


@app.command
def migrate() -> None:
    """Bring the schema of the ledger up to date. `serve` does so too."""
    applied = _run(operations.migrate(_settings()))
    out.print("Applied: " + ", ".join(applied) if applied else "Nothing to do.")


@app.command(name="config")
def show_config(*, json: JsonFlag = False) -> None:
    """List every setting, its value in force, and what it means. NAME_FILE reads a value from a file."""
    rows = config.describe(config.load())
    if json:
        out.print_json(msgspec.json.encode([{"name": n, "value": v, "help": h} for n, v, h in rows]).decode())
        return
    table = Table("variable", "value", "meaning")
    for row in rows:
        table.add_row(*row)
    out.print(table)


@app.command
def openapi() -> None:
    """Print the OpenAPI document."""
    from .web.openapi import document

    sys.stdout.write(document().decode() + "\n")


@app.command
def demo(
    *,
    url: str | None = None,
    people: int = 40,
    rate: float = 25.0,
    seconds: float = 60.0,
    seed: int | None = None,
    json: JsonFlag = False,
) -> int:
    """Play simulated people through the public HTTP API, so that the board visibly moves.

    They register, log in and complete actions; `rate` is actions a second in all.

    Examples:
      laurels demo
      laurels demo --people 200 --rate 100 --seconds 30
    """
    from . import demo as play

    settings = config.load()
    plan = play.Plan(url or f"http://{settings.host}:{settings.port}", people, rate, seconds, seed)
    tally = _run(play.run(plan, out if not json else None))
    if json:
        out.print_json(msgspec.json.encode(tally.summary()).decode())
    return 0 if tally.healthy else 1


@user_app.command(name="create")
def user_create(username: str, *, role: str = "player", email: str | None = None) -> None:
    """Create an account; its generated password is printed once.

    Example: laurels user create ada --role admin
    """
    password = secrets.token_urlsafe(12)
    _run(operations.create_user(_settings(), username, email, password, role))
    out.print(f"Created [bold]{username}[/] ({role}). Password, shown this once: [bold]{password}[/]")


@user_app.command(name="ban")
def user_ban(username: str) -> None:
    """Off every board and locked out, within seconds on every node. The ledger keeps its rows."""
    _run(operations.set_status(_settings(), username, "banned"))
    out.print(f"{username} is banned. `laurels user unban {username}` restores the exact standing.")


@user_app.command(name="unban")
def user_unban(username: str) -> None:
    """Lift a ban: back on every board with the same standing."""
    _run(operations.set_status(_settings(), username, "active"))
    out.print(f"{username} is active again.")


@user_app.command(name="role")
def user_role(username: str, role: str) -> None:
    """Make someone player, moderator or admin."""
    _run(operations.set_role(_settings(), username, role))
    out.print(f"{username} is {role} now.")


@user_app.command(name="password")
def user_password(username: str) -> None:
    """Set a new generated password, printed once, and end every session of the user."""
    password = secrets.token_urlsafe(12)
    _run(operations.set_password(_settings(), username, password))
    out.print(f"New password of [bold]{username}[/], shown this once: [bold]{password}[/]")


@keys_app.command(name="rotate")
def keys_rotate() -> None:
    """Sign with a new key from now on. Tokens of the old one stay good until they expire."""
    out.print(f"Now signing with {_run(operations.rotate_keys(_settings()))}.")


def _bar(description: str) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )


def _print_verification(report: operations.Verification) -> None:
    table = Table("board", "standings", "differ from the ledger", "rank differs", "running node")
    for row in report.windows:
        node = "not asked" if row.node_drift is None else f"{row.node_drift} differ"
        unfolded = "not summed" if row.unfolded is None else str(row.unfolded)
        table.add_row(row.board, f"{row.standings:,}", unfolded, str(row.misranked), node)
    out.print(table)
    if report.node_note:
        out.print(report.node_note)
    out.print("[bold green]Everything agrees.[/]" if report.clean else "[bold red]They disagree.[/] `laurels rebuild` repairs.")


if __name__ == "__main__":
    main()
