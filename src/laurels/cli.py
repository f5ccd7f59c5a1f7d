"""`laurels …`: every command, thin. What can't start or can't be done is one line and exit code 2."""

# ruff: noqa: E402  most imports come after the line that makes Ctrl-C quiet during them

from __future__ import annotations

import signal

_on_interrupt = signal.signal(signal.SIGINT, signal.SIG_DFL)  # half a second of imports needs no traceback

import secrets
import sys
from collections.abc import Coroutine
from typing import Annotated, Any, NoReturn

import cyclopts
import msgspec
import uvloop
from cyclopts import App, Parameter
from cyclopts.validators import Number
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from . import __version__, config, operations, runtime, telemetry
from . import demo as play
from .config import ConfigError, Settings
from .domain.errors import LaurelsError
from .ledger.pool import DatabaseUnusable, ServerError

signal.signal(signal.SIGINT, _on_interrupt)

app = App(
    name="laurels",
    version=__version__,
    help="""Live scoreboards nobody can cheat, and no point is ever lost.

Settings come from the environment: see `laurels config`.

Exit codes: 0 done; 1 done, and something is wrong (verify, rebuild, demo); 2 could not be done.

Examples:

* `laurels serve`
* `laurels demo`
* `DATABASE_URL=postgresql://laurels:secret@db/laurels laurels verify`""",
)
user_app = App(name="user", help="Accounts: create, ban, unban, role, password.")
keys_app = App(name="keys", help="The keys that sign access tokens.")
app.command(user_app)
app.command(keys_app)

out = Console()
err = Console(stderr=True)
JsonFlag = Annotated[bool, Parameter(name="--json", negative=(), help="Print JSON for machines.")]
Positive = Annotated[float, Parameter(validator=Number(gt=0, lte=1_000_000))]
NodeFlag = Annotated[
    str | None, Parameter(help="Address of the node to ask; by default LAURELS_HOST and LAURELS_PORT.")
]


def _examples(*lines: str) -> str:
    """What the help of a command ends with."""
    return "Examples:\n\n" + "\n".join(f"* `{line}`" for line in lines)


def main() -> None:
    """Entry point: what went wrong becomes one line and an exit code."""
    try:
        code = app(exit_on_error=False, print_error=False, result_action="return_value")
    except cyclopts.CycloptsError as error:
        _fail(f"{error} (`laurels --help` lists what there is)")
    except (ConfigError, DatabaseUnusable, runtime.StartError, operations.NotDone, play.NoServer) as error:
        _fail(str(error))
    except LaurelsError as error:
        _fail(error.detail)
    except ServerError as error:
        _fail(f"PostgreSQL refused: {str(error).splitlines()[0]}")
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(words: str) -> NoReturn:
    sys.stderr.write(f"laurels: {' '.join(words.split())}\n")
    sys.exit(2)


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    return uvloop.run(work)


def _settings() -> Settings:
    """For commands, whose output is their answer: logs from warnings up, unless debugging."""
    settings = config.load()
    telemetry.configure_logs(level="warning" if settings.log_level.lower() == "info" else settings.log_level)
    return settings


@app.command(
    help_epilogue=_examples(
        "laurels serve",
        "LAURELS_PORT=9000 LAURELS_DATA=/var/lib/laurels laurels serve",
        "DATABASE_URL=postgresql://laurels:secret@db/laurels laurels serve",
    )
)
def serve() -> None:
    """Run a node: its own PostgreSQL under LAURELS_DATA unless DATABASE_URL is set.

    Ctrl-C (or SIGTERM) stops it in order: requests that have arrived are answered, and nothing is left running.
    """
    settings = config.load()
    telemetry.configure_logs(level=settings.log_level)

    def ready(address: str, admin: tuple[str, str] | None) -> None:
        if admin:
            _say(f"\nFirst admin: [bold]{admin[0]}[/]  password: [bold]{admin[1]}[/]  (shown this once)")
        _say(f"\nLaurels {__version__} is live at [bold]{address}/[/]  (API docs: {address}/api/docs)\n")
        sys.stdout.flush()

    with _bar() as progress:
        task = progress.add_task("Loading standings", total=None, visible=False)

        def loading(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total, visible=True)

        def started(address: str, admin: tuple[str, str] | None) -> None:
            progress.stop()
            ready(address, admin)

        _run(runtime.serve(settings, on_ready=started, on_load=loading))


@app.command(help_epilogue=_examples("laurels verify", "laurels verify --node http://127.0.0.1:8000 --json"))
def verify(*, node: NodeFlag = None, json: JsonFlag = False) -> int:
    """Prove that ledger, standings and index agree; exit code 1 when they do not.

    Folds the ledger anew and compares every score, builds an index and compares every rank with a sort
    in SQL, and asks the running node (at `--node`, or LAURELS_HOST and LAURELS_PORT) to compare its own.
    """
    report = _run(operations.verify(_settings(), node))
    if json:
        _print_json({"clean": report.clean, **msgspec.to_builtins(report)})
    else:
        _print_verification(report)
    return 0 if report.clean else 1


@app.command(help_epilogue=_examples("laurels rebuild", "laurels rebuild --node http://10.0.0.7:8000 --json"))
def rebuild(*, node: NodeFlag = None, json: JsonFlag = False) -> int:
    """Repair: fold standings anew where they differ from the ledger, then rebuild the running node's index.

    Safe beside live writes, and to run twice. Exit code 1 when something still differs.
    """
    report = _run(operations.rebuild(_settings(), node))
    if json:
        _print_json({"clean": report.verification.clean, **msgspec.to_builtins(report)})
    else:
        _say(f"Standings repaired: {report.repaired}")
        _print_verification(report.verification)
    return 0 if report.verification.clean else 1


@app.command(help_epilogue=_examples("laurels snapshot --json"))
def snapshot(*, json: JsonFlag = False) -> None:
    """Freeze the top of every open window, its total, and everybody's rank, for ▲▼ movement and archives.

    A node does so every LAURELS_SNAPSHOT_SECONDS by itself.
    """
    taken = _run(operations.snapshot(_settings()))
    if json:
        _print_json(taken)
        return
    table = Table("board", "snapshot", "taken at", "users")
    for item in taken:
        table.add_row(item.board, str(item.id), item.snapshot_time.isoformat(" ", "seconds"), f"{item.total_users:,}")
    out.print(table)


@app.command(help_epilogue=_examples("DATABASE_URL=postgresql://owner:secret@db/laurels laurels migrate"))
def migrate(*, json: JsonFlag = False) -> None:
    """Bring the schema of the ledger up to date. `serve` does so too."""
    applied = _run(operations.migrate(_settings()))
    if json:
        _print_json({"applied": applied})
    else:
        _say("Applied: " + ", ".join(applied) if applied else "Nothing to do.")


@app.command(name="config", help_epilogue=_examples("LAURELS_PORT=9000 laurels config"))
def show_config(*, json: JsonFlag = False) -> None:
    """List every setting, its value in force, and what it means. NAME_FILE reads a value from a file."""
    rows = config.describe(config.load())
    if json:
        _print_json([{"name": name, "value": value, "help": meaning} for name, value, meaning in rows])
        return
    table = Table("variable", "value", "meaning")
    table.columns[0].no_wrap = True
    table.columns[1].overflow = "fold"
    for row in rows:
        table.add_row(*map(escape, row))
    out.print(table)


@app.command(help_epilogue=_examples("laurels openapi > laurels.json"))
def openapi() -> None:
    """Print the OpenAPI document."""
    from .web.openapi import document

    sys.stdout.write(document().decode() + "\n")


@app.command(
    help_epilogue=_examples(
        "laurels demo",
        "laurels demo --people 200 --rate 100 --seconds 30",
        "laurels demo --url https://laurels.example --json",
    )
)
def demo(
    *,
    url: str | None = None,
    people: Annotated[int, Parameter(validator=Number(gte=1, lte=10_000))] = 40,
    rate: Positive = 25.0,
    seconds: Positive = 60.0,
    seed: int | None = None,
    json: JsonFlag = False,
) -> int:
    """Play simulated people through the public HTTP API, so that the board visibly moves.

    They register and complete actions; Ctrl-C ends the game early, with the table. Exit code 1 when no
    action was awarded, or one failed for good.

    Parameters
    ----------
    url
        The node's address; by default that of LAURELS_HOST and LAURELS_PORT.
    people
        How many play. They come in as fast as the server lets them register.
    rate
        Actions a second in all, in a Poisson process.
    seconds
        How long they play.
    seed
        The same seed gives the same names and habits.
    """
    plan = play.Plan(url or config.load().url, people, rate, seconds, seed)
    tally = _run(play.run(plan, None if json else out))
    if json:
        _print_json(tally.summary())
    return 0 if tally.healthy else 1


@user_app.command(
    name="create",
    help_epilogue=_examples(
        "laurels user create ada --role admin", 'laurels user create "Ada Ember" --email ada@example.org --json'
    ),
)
def user_create(
    username: str, *, role: operations.Role = "player", email: str | None = None, json: JsonFlag = False
) -> None:
    """Create an account; its generated password is printed once."""
    password = secrets.token_urlsafe(12)
    account = _run(operations.create_user(_settings(), username, email, password, role))
    if json:
        _print_json({"username": account.username, "role": account.role, "password": password})
    else:
        name = escape(account.username)
        _say(f"Created [bold]{name}[/] ({role}). Password, shown this once: [bold]{password}[/]")


@user_app.command(name="ban", help_epilogue=_examples("laurels user ban mallory"))
def user_ban(username: str, *, json: JsonFlag = False) -> None:
    """Off every board and locked out, within seconds on every node. The ledger keeps its rows."""
    _run(operations.set_status(_settings(), username, "banned"))
    _say_of(username, "is banned. `laurels user unban` restores the exact standing.", json, status="banned")


@user_app.command(name="unban", help_epilogue=_examples("laurels user unban mallory"))
def user_unban(username: str, *, json: JsonFlag = False) -> None:
    """Lift a ban: back on every board with the same standing."""
    _run(operations.set_status(_settings(), username, "active"))
    _say_of(username, "is active again.", json, status="active")


@user_app.command(name="role", help_epilogue=_examples("laurels user role ada moderator"))
def user_role(username: str, role: operations.Role, *, json: JsonFlag = False) -> None:
    """Make someone player, moderator or admin."""
    _run(operations.set_role(_settings(), username, role))
    _say_of(username, f"is {role} now.", json, role=role)


@user_app.command(name="password", help_epilogue=_examples("laurels user password admin"))
def user_password(username: str, *, json: JsonFlag = False) -> None:
    """Set a new generated password, printed once, and end every session of the user."""
    password = secrets.token_urlsafe(12)
    _run(operations.set_password(_settings(), username, password))
    _say_of(username, f"has a new password, shown this once: [bold]{password}[/]", json, password=password)


@keys_app.command(name="rotate", help_epilogue=_examples("laurels keys rotate"))
def keys_rotate(*, json: JsonFlag = False) -> None:
    """Sign with a new key from now on. Tokens of the old one stay good until they expire."""
    kid = _run(operations.rotate_keys(_settings()))
    if json:
        _print_json({"kid": kid})
    else:
        _say(f"Now signing with {kid}.")


def _say(words: str) -> None:
    """A line for people; not wrapped, so that what is copied or searched stays in one piece."""
    out.print(words, soft_wrap=True, highlight=False)


def _say_of(username: str, words: str, json: bool, **members: str) -> None:
    if json:
        _print_json({"username": username, **members})
    else:
        _say(f"[bold]{escape(username)}[/] {words}")


def _print_json(value: object) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value)).decode() + "\n")


def _bar() -> Progress:
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
        _say(escape(report.node_note))
    _say(
        "[bold green]Everything agrees.[/]"
        if report.clean
        else "[bold red]They disagree.[/] `laurels rebuild` repairs."
    )


if __name__ == "__main__":
    main()
