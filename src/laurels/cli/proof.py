"""Proof, repair, snapshots and the schema of the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from cyclopts import App
from rich.markup import escape
from rich.table import Table

from .flags import JsonFlag, NodeFlag, examples
from .output import out, print_json, say
from .process import load_settings, run

if TYPE_CHECKING:
    from .verification import Verification

verify_app = App(
    name="verify", help_epilogue=examples("laurels verify", "laurels verify --node http://127.0.0.1:8000 --json")
)
rebuild_app = App(
    name="rebuild", help_epilogue=examples("laurels rebuild", "laurels rebuild --node http://10.0.0.7:8000 --json")
)
snapshot_app = App(name="snapshot", help_epilogue=examples("laurels snapshot --json"))
migrate_app = App(
    name="migrate", help_epilogue=examples("DATABASE_URL=postgresql://owner:secret@db/laurels laurels migrate")
)


@verify_app.default
def verify(*, node: NodeFlag = None, json: JsonFlag = False) -> int:
    """Prove that ledger, standings and index agree; exit code 1 when they do not.

    Folds the ledger again and compares every score, builds an index and compares every rank with a sort in SQL, and
    asks the running node (at `--node`, or LAURELS_HOST and LAURELS_PORT) to compare its own index.
    """
    from . import verification

    report = run(verification.verify(load_settings(), node))
    if json:
        print_json({"clean": report.clean, **msgspec.to_builtins(report)})
    else:
        _print_verification(report)
    return 0 if report.clean else 1


@rebuild_app.default
def rebuild(*, node: NodeFlag = None, json: JsonFlag = False) -> int:
    """Repair: fold standings again where they differ from the ledger, then rebuild the running node's index.

    Safe beside live writes, and to run twice. Exit code 1 when something still differs.
    """
    from . import verification

    report = run(verification.rebuild(load_settings(), node))
    if json:
        print_json({"clean": report.verification.clean, **msgspec.to_builtins(report)})
    else:
        say(f"Standings repaired: {report.repaired}")
        _print_verification(report.verification)
    return 0 if report.verification.clean else 1


@snapshot_app.default
def snapshot(*, json: JsonFlag = False) -> None:
    """Freeze the top of every open window, its total, and every user's rank, for ▲▼ movement and archives.

    A node does so by itself every LAURELS_SNAPSHOT_SECONDS.
    """
    from ..app.proof import take_snapshots
    from .ledger import read

    taken = read(take_snapshots)
    if json:
        print_json(taken)
        return
    table = Table("board", "snapshot", "taken at", "users")
    for item in taken:
        table.add_row(item.board, str(item.id), item.snapshot_time.isoformat(" ", "seconds"), f"{item.total_users:,}")
    out.print(table)


@migrate_app.default
def migrate(*, json: JsonFlag = False) -> None:
    """Bring the schema of the ledger up to date. `serve` does so too."""
    from ..database import migrate_schema

    applied = run(migrate_schema(load_settings()))
    if json:
        print_json({"applied": applied})
    else:
        say("Applied: " + ", ".join(applied) if applied else "Nothing to do.")


def _print_verification(report: Verification) -> None:
    table = Table("board", "standings", "differ from the ledger", "rank differs", "running node")
    for row in report.windows:
        node = "not asked" if row.node_drift is None else f"{row.node_drift} differ"
        table.add_row(row.board, f"{row.standings:,}", str(row.unfolded), str(row.misranked), node)
    out.print(table)
    if report.node_note:
        say(escape(report.node_note))
    say(
        "[bold green]Everything agrees.[/]"
        if report.clean
        else "[bold red]They disagree.[/] `laurels rebuild` repairs."
    )
