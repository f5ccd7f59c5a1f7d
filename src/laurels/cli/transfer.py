"""Import and export."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import App, Parameter
from rich.markup import escape

from ..app.transfer.kinds import Format, OnError, What
from .errors import CommandFailed
from .flags import JsonFlag, examples
from .output import bar, err, print_json, say
from .process import load_settings, run

if TYPE_CHECKING:
    from ..app.transfer.files import OnProgress
    from ..app.transfer.importing import Imported

FormatFlag = Annotated[Format | None, Parameter(name="--format", help="By default by the file's name.")]
IgnoreFlag = Annotated[
    tuple[str, ...],
    Parameter(name="--ignore-columns", negative=(), help="Name of a column to skip; may be repeated."),
]

export_app = App(
    name="export",
    help_epilogue=examples(
        "laurels export users --out users.csv",
        "laurels export ledger --out ledger.jsonl",
        "laurels export action-types --format jsonl > types.jsonl",
        "laurels export users --out users.csv --spreadsheet-safe",
    ),
)
import_app = App(
    name="import",
    help_epilogue=examples(
        "laurels import users users.csv",
        "laurels import action-types types.jsonl",
        "laurels import ledger ledger.jsonl --on-error skip --rejects rejects.csv",
        'laurels import users people.csv --ignore-columns "Shoe size"',
    ),
)


@export_app.default
def export_rows(
    what: What,
    *,
    out: Path | None = None,
    form: FormatFlag = None,
    password_hashes: bool = False,
    spreadsheet_safe: bool = False,
    json: JsonFlag = False,
) -> None:
    """Write users, action types or the ledger as CSV or JSONL, all of one instant.

    Parameters
    ----------
    out
        The file; by default standard output.
    password_hashes
        Include the hashes of passwords, so that users can log in where they are imported. Keep such a file secret.
    spreadsheet_safe
        Write CSV that a spreadsheet opens without running what people typed: an apostrophe stands before text that
        begins like a formula, and before numbers that would be rounded. Importing removes it.
    json
        Print a summary as JSON, to standard error when the rows go to standard output.
    """
    from ..app.transfer import exporting
    from .ledger import read

    written_as = form or ("jsonl" if out is None else _format_of(out))
    if spreadsheet_safe and written_as != "csv":
        raise CommandFailed("--spreadsheet-safe is for CSV: say --format csv")
    with _progress() as progress:
        rows, seconds = read(
            lambda ledger: exporting.export_rows(
                ledger,
                what,
                written_as,
                out,
                progress,
                password_hashes=password_hashes,
                spreadsheet_safe=spreadsheet_safe,
            )
        )
    pace = round(rows / seconds) if seconds else 0
    if json and out is not None:
        print_json({"rows": rows, "seconds": round(seconds, 2), "rows_per_second": pace})
    else:
        err.print(f"{rows:,} rows in {seconds:.1f} s: {pace:,} a second.", highlight=False)


@import_app.default
def import_rows(
    what: What,
    path: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    *,
    form: FormatFlag = None,
    on_error: OnError = "stop",
    rejects: Path | None = None,
    ignore_columns: IgnoreFlag = (),
    json: JsonFlag = False,
) -> int:
    """Import users, then action types, then the ledger. What is there already is left alone.

    May be interrupted, killed and run again: nothing goes in twice. Every record is added, there already (also with
    other values), or bad. A row of the ledger counts in the windows that cover its created_at. CSV may be separated by
    commas, semicolons or tabs. Exit code 1 when there were bad rows, 2 when the file could not be read to its end.

    Parameters
    ----------
    path
        The file; - is standard input.
    on_error
        What a bad row does: stop (the rows above it are imported, none below it), or be skipped and listed.
    rejects
        A CSV file for the line and the reason of every bad row; the report lists the first 100.
    """
    from ..app.transfer.importing import open_import
    from .ledger import open_ledger
    from .operator import operator

    read_as = form or _format_of(path)
    with (
        _progress() as progress,
        open_import(what, read_as, path, progress, rejects=rejects, ignore=ignore_columns) as job,
    ):

        async def import_all() -> Imported:
            async with open_ledger(load_settings(), create=True) as ledger:
                return await job.run(ledger, operator(), on_error)

        done = run(import_all())
    if json:
        print_json({**msgspec.to_builtins(done), "rows_per_second": done.rows_per_second})
    else:
        _print_import(done)
    if done.unread is not None:
        raise CommandFailed(f"{done.unread}. What stands above is in; fix the file and run this again")
    return 1 if done.bad_rows else 0


def _format_of(path: Path) -> Format:
    """Return the format that a file's name says. Raises CommandFailed."""
    match path.suffix.lower():
        case ".csv":
            return "csv"
        case ".jsonl":
            return "jsonl"
    raise CommandFailed(f"say --format csv or --format jsonl: {path} does not tell")


def _print_import(done: Imported) -> None:
    for row in done.bad:
        say(f"[red]line {row.line}[/]: {escape(row.why)}")
    if done.bad_rows > len(done.bad):
        say(f"… and {done.bad_rows - len(done.bad):,} more bad rows.")
    if done.stopped_at is not None:
        say(f"[bold red]Stopped at line {done.stopped_at}.[/] Fix it and run this again, or say --on-error skip.")
    folded = f", {done.folded:,} users folded" if done.folded else ""
    pace = f"{done.rows_per_second:,} rows a second"
    say(f"{done.added:,} added, {done.present:,} there already, {done.bad_rows:,} bad{folded}: {pace}.")


@contextmanager
def _progress() -> Iterator[OnProgress]:
    """Yield a function that shows how far each step is."""
    with bar() as shown:
        tasks = {}

        def report(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = shown.add_task(what, total=total)
            shown.update(tasks[what], completed=done)

        yield report
