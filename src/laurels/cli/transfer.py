"""Import and export."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.markup import escape

from .. import operations
from .app import JsonFlag, app, examples, run, settings
from .output import bar, err, print_json, say

FormatFlag = Annotated[operations.Format | None, Parameter(name="--format", help="By default by the file's name.")]

IgnoreFlag = Annotated[
    tuple[str, ...],
    Parameter(name="--ignore-columns", negative=(), help="Name of a column to skip; may be repeated."),
]


@app.command(
    name="export",
    help_epilogue=examples(
        "laurels export users --out users.csv",
        "laurels export ledger --out ledger.jsonl",
        "laurels export action-types --format jsonl > types.jsonl",
        "laurels export users --out users.csv --spreadsheet-safe",
    ),
)
def export_rows(
    what: operations.What,
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
        With the hashes of passwords, so that users can log in where they are imported. Keep such a file secret.
    spreadsheet_safe
        CSV that can be opened in a spreadsheet without running what people typed: an apostrophe stands before text
        that begins like a formula, and before what would be rounded. Importing takes it off again.
    json
        Print what was done as JSON, to standard error when the rows go to standard output.
    """
    written_as = form or ("jsonl" if out is None else operations.format_of(out, None))
    with _progress() as told:
        work = operations.export_rows(
            settings(),
            what,
            written_as,
            out,
            told,
            password_hashes=password_hashes,
            spreadsheet_safe=spreadsheet_safe,
        )
        rows, seconds = run(work)
    pace = round(rows / seconds) if seconds else 0
    if json and out is not None:
        print_json({"rows": rows, "seconds": round(seconds, 2), "rows_per_second": pace})
    else:
        err.print(f"{rows:,} rows in {seconds:.1f} s: {pace:,} a second.", highlight=False)


@app.command(
    name="import",
    help_epilogue=examples(
        "laurels import users users.csv",
        "laurels import action-types types.jsonl",
        "laurels import ledger ledger.jsonl --on-error skip --rejects rejects.csv",
        'laurels import users people.csv --ignore-columns "Shoe size"',
    ),
)
def import_rows(
    what: operations.What,
    path: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    *,
    form: FormatFlag = None,
    on_error: operations.OnError = "stop",
    rejects: Path | None = None,
    ignore_columns: IgnoreFlag = (),
    json: JsonFlag = False,
) -> int:
    """Take in users, then action types, then the ledger. What is there already is left alone.

    May be interrupted, killed and run again: nothing goes in twice. Every record is added, there already, or bad: also
    when it is there with other values. A row of the ledger counts in the windows that cover its created_at. CSV may be
    separated by commas, semicolons or tabs. Exit code 1 when there were bad rows, 2 when the file could not be read to
    its end.

    Parameters
    ----------
    path
        The file; - is standard input.
    on_error
        What a bad row does: stop (what stands above it is in, nothing below it), or be skipped and listed.
    rejects
        A CSV file for the line and the reason of every bad row; the report lists the first 100.
    """
    with _progress() as told:
        work = operations.import_rows(
            settings(), what, form, path, told, skip_bad=on_error == "skip", rejects=rejects, ignore=ignore_columns
        )
        done = run(work)
    if json:
        print_json({**msgspec.to_builtins(done), "rows_per_second": done.rows_per_second})
    else:
        _say(done)
    if done.unread is not None:
        raise operations.CommandFailed(f"{done.unread}. What stands above is in; mend the file and run this again")
    return 1 if done.bad_rows else 0


def _say(done: operations.Imported) -> None:
    for row in done.bad:
        say(f"[red]line {row.line}[/]: {escape(row.why)}")
    if done.bad_rows > len(done.bad):
        say(f"… and {done.bad_rows - len(done.bad):,} more bad rows.")
    if done.stopped_at is not None:
        say(f"[bold red]Stopped at line {done.stopped_at}.[/] Mend it and run this again, or say --on-error skip.")
    folded = f", {done.folded:,} users folded" if done.folded else ""
    pace = f"{done.rows_per_second:,} rows a second"
    say(f"{done.added:,} added, {done.present:,} there already, {done.bad_rows:,} bad{folded}: {pace}.")


@contextmanager
def _progress() -> Iterator[operations.Progress]:
    with bar() as shown:
        tasks = {}

        def told(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = shown.add_task(what, total=total)
            shown.update(tasks[what], completed=done)

        yield told
