"""Commands for `make cluster`, `make cluster-down` and the faults."""

from __future__ import annotations

import os
import re
import signal
import stat
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import App, Parameter
from rich.console import Console
from rich.live import Live

from laurels.cli.output import print_json

from . import drill as restore_drill
from .keeper import Keeper
from .layout import PORTS, Layout
from .part import Unhealthy
from .screen import table
from .shape import parts
from .supervisor import Failed, PartStatus, Supervisor

app = App(name="python -m deploy.cluster", help="The production setup on one machine, only on loopback.")
out, err = Console(), Console(stderr=True)

Folder = Annotated[Path, Parameter(help="the folder of the cluster")]
Ports = Annotated[int, Parameter(help=f"its first port; it uses up to {PORTS} of them")]
Json = Annotated[bool, Parameter(name="--json", negative=(), help="print JSON for machines")]
Flag = Parameter(negative=())
WATCH_SECONDS = 2.0
_SETTING = re.compile(r"LAURELS_[A-Z_]+")
DEFAULT = Path("cluster")


@app.command
def up(
    *,
    folder: Folder = DEFAULT,
    ports: Ports = 8400,
    rate: Annotated[int, Parameter(help="requests per second and address that the edge allows")] = 200,
    detach: Annotated[bool, Flag] = False,
    as_json: Json = False,
) -> int:
    """Start every part, wait until all are healthy, show them, and supervise them.

    A part that ends by itself is restarted. Ctrl-C ends the supervision; the cluster keeps running until
    `down`. LAURELS_… variables are passed to the nodes.

    Parameters
    ----------
    detach
        Return as soon as everything is healthy.
    """
    supervisor = _supervisor(_layout(folder, ports, rate))
    supervisor.layout.place("run")
    _open_for_passage(supervisor.layout.folder)
    supervisor.up()
    _remember(supervisor.layout)
    return _show(supervisor, as_json=as_json, watch=not detach and not as_json and out.is_terminal)


@app.command
def status(*, folder: Folder = DEFAULT, as_json: Json = False) -> int:
    """Show every part once. Exit code 1 when one is not healthy."""
    return _show(_supervisor(_remembered(folder)), as_json=as_json, watch=False)


@app.command
def watch(*, folder: Folder = DEFAULT) -> int:
    """Show every part until Ctrl-C, and restart those that end by themselves."""
    return _show(_supervisor(_remembered(folder)), as_json=False, watch=True)


@app.command
def down(*, folder: Folder = DEFAULT, keep: Annotated[bool, Flag] = False) -> int:
    """Stop every part and remove the files of the cluster.

    Parameters
    ----------
    keep
        Keep the data for the next `up`.
    """
    if not folder.exists():
        err.print(f"Nothing is running: there is no {folder}.", highlight=False)
        return 0
    _supervisor(_remembered(folder)).down(keep=keep)
    return 0


@app.command
def start(name: str, *, folder: Folder = DEFAULT) -> int:
    """Start one part and wait for its health."""
    supervisor = _supervisor(_remembered(folder))
    part = supervisor.part(name)
    supervisor.launch(part)
    supervisor.wait_for([part])
    return 0


@app.command
def stop(name: str, *, folder: Folder = DEFAULT) -> int:
    """Stop one part gracefully."""
    supervisor = _supervisor(_remembered(folder))
    supervisor.stop(supervisor.part(name))
    return 0


@app.command
def kill(name: str, *, folder: Folder = DEFAULT) -> int:
    """Kill one part, as a power cut would."""
    supervisor = _supervisor(_remembered(folder))
    supervisor.kill(supervisor.part(name))
    return 0


@app.command
def freeze(name: str, *, folder: Folder = DEFAULT) -> int:
    """Suspend one part (SIGSTOP) until `thaw`."""
    supervisor = _supervisor(_remembered(folder))
    supervisor.signal(supervisor.part(name), signal.SIGSTOP)
    return 0


@app.command
def thaw(name: str, *, folder: Folder = DEFAULT) -> int:
    """Resume a frozen part."""
    supervisor = _supervisor(_remembered(folder))
    supervisor.signal(supervisor.part(name), signal.SIGCONT)
    return 0


@app.command
def drill(*, folder: Folder = DEFAULT, as_json: Json = False) -> int:
    """Back up, restore to a point in time beside the running cluster, compare. Exit code 1 when the ledgers differ."""
    try:
        outcome = restore_drill.drill(_remembered(folder), _tell)
    except Unhealthy as error:
        raise Failed(f"restore drill: {error}") from error
    if as_json:
        print_json({"same": outcome.same, **asdict(outcome)})
    else:
        out.print(f"backed up in {outcome.backup_seconds:.1f} s, restored in {outcome.restore_seconds:.1f} s")
        out.print(f"recorded: {outcome.noted}; restored: {outcome.restored}", highlight=False)
        out.print("[green]the ledgers are equal[/]" if outcome.same else "[bold red]the ledgers differ[/]")
    return 0 if outcome.same else 1


def _layout(folder: Path, ports: int, rate: int) -> Layout:
    settings = {name: value for name, value in os.environ.items() if _SETTING.fullmatch(name)}
    return Layout(folder.resolve(), ports, rate, settings)


def _remember(layout: Layout) -> None:
    record = {"first_port": layout.first_port, "rate": layout.rate, "settings": layout.settings}
    (layout.folder / "run" / "layout.json").write_bytes(msgspec.json.encode(record))


def _remembered(folder: Path) -> Layout:
    """Return the layout that `up` was given, or the default one if that start failed."""
    file = folder / "run" / "layout.json"
    record = msgspec.json.decode(file.read_bytes()) if file.exists() else {}
    return Layout(folder.resolve(), **record)


def _open_for_passage(folder: Path) -> None:
    """Let the users that parts run as pass through the cluster's folder and those above it (pass, not list)."""
    if os.geteuid() != 0:
        return
    for each in (folder, *folder.parents):
        mode = each.stat().st_mode
        if not mode & stat.S_IXOTH:
            each.chmod(mode | stat.S_IXOTH)
            err.print(f"Opened {each} for passage: the parts of the cluster do not run as root.", highlight=False)


def _supervisor(layout: Layout) -> Supervisor:
    return Supervisor(layout, report=_tell)


def _tell(words: str) -> None:
    err.print(f"[dim]{time.strftime('%H:%M:%S')}[/] {words}", highlight=False)


def _show(supervisor: Supervisor, *, as_json: bool, watch: bool) -> int:
    seen = supervisor.check_all()
    if as_json:
        print_json([asdict(one) for one in seen])
    elif watch:
        _supervise(supervisor, seen)
    else:
        out.print(table(seen, _title(supervisor.layout)))
    return 0 if all(one.healthy for one in seen) else 1


def _supervise(supervisor: Supervisor, seen: list[PartStatus]) -> None:
    title = _title(supervisor.layout)
    with Live(table(seen, title), console=out, auto_refresh=False) as live:
        keeper = Keeper(supervisor, parts(supervisor.layout), report=live.console.print)
        try:
            while True:
                time.sleep(WATCH_SECONDS)
                keeper.restart_ended()
                live.update(table(supervisor.check_all(), title), refresh=True)
        except KeyboardInterrupt:
            pass
    err.print("The cluster keeps running. Stop it with: make cluster-down", highlight=False)


def _title(layout: Layout) -> str:
    return f"Laurels at {layout.url}/   (authority: {layout.authority})"


def main() -> None:
    try:
        sys.exit(app())
    except Failed as error:
        err.print(f"[bold red]failed:[/] {error}", highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        err.print(
            "Interrupted. The parts that have started keep running; stop them with: make cluster-down", highlight=False
        )
        sys.exit(130)


if __name__ == "__main__":
    main()
