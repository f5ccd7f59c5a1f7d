"""Import and export: files on one side, the ledger on the other, batches of bounded size between them."""

from __future__ import annotations

import contextlib
import csv
import functools
import os
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal, Protocol
from uuid import uuid4

from ..config import Settings
from ..database import database
from ..ledger import transfer
from ..ledger.catalogue.catalogue import Catalogue
from ..ledger.catalogue.type_editor import TypeEditor
from ..ledger.db.pool import Pool
from ..ledger.transfer import BadRow, BatchStopped, ImportTally, LedgerRecord, Line, NotStorable, TypeRecord, UserRecord
from .errors import CommandFailed
from .files import FileWriter, Format, format_of, opened
from .operator import operator
from .reading import Read, read_records

What = Literal["users", "action-types", "ledger"]
OnError = Literal["stop", "skip"]
BATCH = 5_000
SHOWN_BAD = 100
"""Bad rows kept for the report; the rest is counted."""

KINDS: dict[What, type] = {"users": UserRecord, "action-types": TypeRecord, "ledger": LedgerRecord}


class Take(Protocol):
    """Imports a batch. `stop`: raises BatchStopped, with nothing written, if a row of it is bad."""

    def __call__(self, batch: Sequence[Line[Any]], *, stop: bool) -> Awaitable[ImportTally]: ...


Progress = Callable[[str, int, int | None], None]
"""Told what is done, how far, and of how much if that is known."""


@dataclass(slots=True)
class Imported:
    """What an import did with each record: added, present or bad.

    `bad` holds the first SHOWN_BAD of `bad_rows`; `stopped_at` is the line of the bad row that ended it, `unread` why
    the rest of the file could not be read.
    """

    added: int = 0
    present: int = 0
    bad_rows: int = 0
    bad: list[BadRow] = field(default_factory=list)
    folded: int = 0
    stopped_at: int | None = None
    unread: str | None = None
    seconds: float = 0.0

    @property
    def rows_per_second(self) -> int:
        return round((self.added + self.present) / self.seconds) if self.seconds else 0

    @property
    def records(self) -> int:
        return self.added + self.present + self.bad_rows

    def count(self, tally: ImportTally) -> None:
        self.added += tally.added
        self.present += tally.present
        self.note(tally.bad)

    def note(self, bad: Sequence[BadRow]) -> None:
        self.bad_rows += len(bad)
        self.bad += bad[: max(0, SHOWN_BAD - len(self.bad))]


async def export_rows(
    settings: Settings,
    what: What,
    form: Format,
    path: Path | None,
    progress: Progress,
    *,
    password_hashes: bool,
    spreadsheet_safe: bool,
) -> tuple[int, float]:
    """Write every row to `path` (whole, or not at all) or standard output; (rows, seconds)."""
    if spreadsheet_safe and form != "csv":
        raise CommandFailed("--spreadsheet-safe is for CSV: say --format csv")
    started, done = time.monotonic(), 0
    async with database(settings) as pool:
        total = await transfer.count(pool, what)
        with _written(path) as stream:
            writer = FileWriter(stream, form, KINDS[what], spreadsheet_safe=spreadsheet_safe)
            async with contextlib.aclosing(_pages(pool, what, password_hashes=password_hashes)) as pages:
                async for page in pages:
                    writer.write(page)
                    done += len(page)
                    progress("rows written", done, total)
    return done, time.monotonic() - started


async def import_rows(
    settings: Settings,
    what: What,
    form: Format | None,
    path: Path,
    progress: Progress,
    *,
    skip_bad: bool,
    rejects: Path | None,
    ignore: Sequence[str] = (),
) -> Imported:
    """Take every row of a file that isn't there yet. May be killed at any moment and run again.

    The first bad row ends it, when what stands above it is in and nothing that stands below it, unless `skip_bad`. All
    bad rows are written to `rejects`. Columns in `ignore` are skipped.
    """
    chosen = format_of(path, form)
    result, started = Imported(), time.monotonic()
    with contextlib.closing(opened(path)) as stream, _rejected(rejects) as note_rejects:
        shown = functools.partial(_show_position, stream, progress)
        async with database(settings, create=True) as pool:
            take = await _taker(pool, what)
            for batch, bad in _batches(_readable(read_records(stream, chosen, KINDS[what], ignore), result)):
                tally = await _careful(take, batch, stop=not skip_bad)
                if skip_bad or not tally.bad:
                    tally.bad += bad
                tally.bad.sort(key=lambda row: row.line)
                result.count(tally)
                note_rejects(tally.bad)
                shown()
                if result.bad and not skip_bad:
                    result.stopped_at = result.bad[0].line
                    result.unread = None  # the reader may have been further down
                    break
            if what == "ledger":
                result.folded = await _fold(pool, progress)
            if result.added or result.folded:
                await transfer.analyse(pool)
    result.seconds = time.monotonic() - started
    return result


def _readable(records: Read, result: Imported) -> Read:
    """Yield the records up to where the file can't be read. Raises NotDone when that is at its beginning."""
    read = 0
    try:
        for record in records:
            read += 1
            yield record
    except CommandFailed as error:
        if not read:
            raise
        result.unread = str(error)


def _show_position(stream: BinaryIO, progress: Progress) -> None:
    if stream is not sys.stdin.buffer:
        progress("bytes read", stream.tell(), os.fstat(stream.fileno()).st_size)


@contextlib.contextmanager
def _rejected(path: Path | None) -> Iterator[Callable[[Sequence[BadRow]], None]]:
    """Yield what writes bad rows to a file of their own, line by line; only its owner may read it."""
    if path is None:
        yield lambda _: None
        return
    with _can_write(path):
        stream = _open_private(path)
        writer = csv.writer(stream, lineterminator="\n")

    def note(rows: Sequence[BadRow]) -> None:
        with _can_write(path):
            writer.writerows((row.line, row.why) for row in rows)

    try:
        writer.writerow(("line", "why"))
        yield note
    finally:
        with _can_write(path):
            stream.close()


def _batches(records: Read) -> Iterator[tuple[list[Line[Any]], list[BadRow]]]:
    """Good rows and bad ones, BATCH of them at most; a batch ends with its first bad row."""
    batch: list[Line[Any]] = []
    for record in records:
        if isinstance(record, BadRow):
            yield batch, [record]
            batch = []
            continue
        batch.append(record)
        if len(batch) == BATCH:
            yield batch, []
            batch = []
    if batch:
        yield batch, []


async def _careful(take: Take, batch: Sequence[Line[Any]], *, stop: bool) -> ImportTally:
    """Import a batch; a row that PostgreSQL can't store is found by halving, and its neighbours go in.

    `stop`: import what stands above the first bad row, and count only that one as bad.
    """
    if not batch:
        return ImportTally()
    try:
        return await take(batch, stop=stop)
    except BatchStopped as error:
        above = await _careful(take, [line for line in batch if line.number < error.bad.line], stop=True)
        above.bad = above.bad or [error.bad]
        return above
    except NotStorable as error:
        if len(batch) == 1:
            return ImportTally(bad=[BadRow(batch[0].number, str(error).splitlines()[0])])
    middle = len(batch) // 2
    first = await _careful(take, batch[:middle], stop=stop)
    if stop and first.bad:
        return first
    second = await _careful(take, batch[middle:], stop=stop)
    return ImportTally(first.added + second.added, first.present + second.present, first.bad + second.bad)


async def _taker(pool: Pool, what: What) -> Take:
    catalogue = Catalogue(pool)
    await catalogue.refresh()
    actor = operator()
    if what == "users":
        return lambda batch, *, stop: transfer.import_users(pool, batch, actor, stop=stop)
    if what == "action-types":
        editor = TypeEditor(pool, catalogue, uuid4())
        return lambda batch, *, stop: transfer.import_types(editor, batch, actor, stop=stop)
    return lambda batch, *, stop: transfer.import_history(pool, catalogue, batch, actor, stop=stop)


async def _fold(pool: Pool, progress: Progress) -> int:
    """Also what an earlier import that died left behind."""
    total, done = await transfer.left_to_fold(pool), 0
    async with contextlib.aclosing(transfer.fold_imported(pool)) as folded:
        async for users in folded:
            done += users
            progress("users folded", done, total)
    return done


def _pages(pool: Pool, what: What, *, password_hashes: bool) -> AsyncGenerator[list[Any], None]:
    if what == "users":
        return transfer.export_users(pool, password_hashes=password_hashes)
    return transfer.export_types(pool) if what == "action-types" else transfer.export_ledger(pool)


@contextlib.contextmanager
def _written(path: Path | None) -> Iterator[IO[str]]:
    """The file gets its name when it is whole, and only its owner may read it: it is about people."""
    if path is None:
        yield sys.stdout
        return
    part = path.with_name(f"{path.name}.part")
    with _can_write(path):
        with _open_private(part) as stream:
            yield stream
        part.replace(path)


def _open_private(path: Path) -> IO[str]:
    """Open a file for writing that only its owner may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    return open(descriptor, "w", encoding="utf-8", newline="")  # noqa: PTH123  a descriptor


@contextlib.contextmanager
def _can_write(path: Path) -> Iterator[None]:
    """Raise NotDone for what keeps a file from being written."""
    try:
        yield
    except OSError as error:
        raise CommandFailed(f"can't write {path}: {error.strerror}") from error
