"""Records of a file into the ledger: batches of bounded size between the two."""

from __future__ import annotations

import contextlib
import csv
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from ...ledger import transfer
from ...ledger.db.pool import Pool
from ...ledger.events.audit import Actor
from ...ledger.transfer import BadRow, BatchStopped, ImportTally, Line, NotStorable
from ..admin_context import AdminContext
from .files import KINDS, OnProgress, TransferError, open_private, open_source, writing_to
from .kinds import Format, OnError, What
from .reading import Read, read_records

BATCH = 5_000
"""Records in one transaction, and in memory."""
SHOWN_BAD = 100
"""Bad rows kept for the report; the rest are counted."""

NoteRejects = Callable[[Sequence[BadRow]], None]


class ImportBatch(Protocol):
    """Imports a batch. With `stop` it raises BatchStopped, and writes nothing, when a row of the batch is bad."""

    def __call__(self, batch: Sequence[Line[Any]], *, stop: bool) -> Awaitable[ImportTally]: ...


@dataclass(slots=True)
class Imported:
    """Counts of an import: each record was added, present or bad.

    `bad` holds the first SHOWN_BAD of `bad_rows`. `stopped_at` is the line of the bad row that ended the import,
    `unread` why the rest of the file could not be read.
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
        """Add what came of a batch."""
        self.added += tally.added
        self.present += tally.present
        self.bad_rows += len(tally.bad)
        self.bad += tally.bad[: max(0, SHOWN_BAD - len(self.bad))]


@dataclass(slots=True)
class ImportJob:
    """A file opened for import. `run` may be interrupted, killed and repeated: nothing goes in twice."""

    what: What
    form: Format
    stream: BinaryIO
    ignore: Sequence[str]
    progress: OnProgress
    note_rejects: NoteRejects

    async def run(self, context: AdminContext, actor: Actor, on_error: OnError) -> Imported:
        """Import every record that is not in the ledger yet. Raises TransferError when the file can't be read at all.

        on_error="stop": the first bad row ends the import, with all rows above it in the ledger and none below it.
        """
        result, started = Imported(), time.monotonic()
        await self._import_records(context, actor, result, stop=on_error == "stop")
        if self.what == "ledger":
            result.folded = await _fold(context.pool, self.progress)
        if result.added or result.folded:
            await transfer.analyse(context.pool)
        result.seconds = time.monotonic() - started
        return result

    async def _import_records(self, context: AdminContext, actor: Actor, result: Imported, *, stop: bool) -> None:
        import_batch = _importer(context, self.what, actor)
        records = read_records(self.stream, self.form, KINDS[self.what], self.ignore)
        for batch, bad in _batches(_readable(records, result)):
            tally = await _import_halving(import_batch, batch, stop=stop)
            if not (stop and tally.bad):
                tally.bad += bad
            tally.bad.sort(key=lambda row: row.line)
            result.count(tally)
            self.note_rejects(tally.bad)
            self._report_position()
            if stop and result.bad:
                result.stopped_at = result.bad[0].line
                result.unread = None  # the reader may have been further down
                return

    def _report_position(self) -> None:
        if self.stream is not sys.stdin.buffer:
            self.progress("bytes read", self.stream.tell(), os.fstat(self.stream.fileno()).st_size)


@contextlib.contextmanager
def open_import(
    what: What,
    form: Format,
    path: Path,
    progress: OnProgress,
    *,
    rejects: Path | None = None,
    ignore: Sequence[str] = (),
) -> Iterator[ImportJob]:
    """Open a file (- is standard input) for import, skipping the columns in `ignore`.

    All bad rows are written to `rejects`. Raises TransferError.
    """
    with contextlib.closing(open_source(path)) as stream, _rejects_file(rejects) as note_rejects:
        yield ImportJob(what, form, stream, ignore, progress, note_rejects)


@contextlib.contextmanager
def _rejects_file(path: Path | None) -> Iterator[NoteRejects]:
    """Yield a function that writes bad rows to a private CSV file, line by line."""
    if path is None:
        yield lambda _: None
        return
    with writing_to(path):
        stream = open_private(path)
        writer = csv.writer(stream, lineterminator="\n")

    def note(rows: Sequence[BadRow]) -> None:
        with writing_to(path):
            writer.writerows((row.line, row.why) for row in rows)

    try:
        writer.writerow(("line", "why"))
        yield note
    finally:
        with writing_to(path):
            stream.close()


def _readable(records: Read, result: Imported) -> Read:
    """Yield the records up to where the file can't be read. Raises TransferError when that is at its beginning."""
    read = 0
    try:
        for record in records:
            read += 1
            yield record
    except TransferError as error:
        if not read:
            raise
        result.unread = str(error)


def _batches(records: Read) -> Iterator[tuple[list[Line[Any]], list[BadRow]]]:
    """Yield good and bad rows, at most BATCH of them; a batch ends with its first bad row."""
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


async def _import_halving(import_batch: ImportBatch, batch: Sequence[Line[Any]], *, stop: bool) -> ImportTally:
    """Import a batch; find a row that PostgreSQL can't store by halving, and import its neighbours.

    `stop`: import the rows above the first bad one, and count that one alone as bad.
    """
    if not batch:
        return ImportTally()
    try:
        return await import_batch(batch, stop=stop)
    except BatchStopped as error:
        rows_above = [line for line in batch if line.number < error.bad.line]
        above = await _import_halving(import_batch, rows_above, stop=True)
        above.bad = above.bad or [error.bad]
        return above
    except NotStorable as error:
        if len(batch) == 1:
            return ImportTally(bad=[BadRow(batch[0].number, str(error).splitlines()[0])])
    middle = len(batch) // 2
    first = await _import_halving(import_batch, batch[:middle], stop=stop)
    if stop and first.bad:
        return first
    second = await _import_halving(import_batch, batch[middle:], stop=stop)
    return ImportTally(first.added + second.added, first.present + second.present, first.bad + second.bad)


def _importer(context: AdminContext, what: What, actor: Actor) -> ImportBatch:
    pool, types, catalogue = context.pool, context.types, context.catalogue
    if what == "users":
        return lambda batch, *, stop: transfer.import_users(pool, batch, actor, stop=stop)
    if what == "action-types":
        return lambda batch, *, stop: transfer.import_types(types, batch, actor, stop=stop)
    return lambda batch, *, stop: transfer.import_history(pool, catalogue, batch, actor, stop=stop)


async def _fold(pool: Pool, progress: OnProgress) -> int:
    """Fold what was imported, also by an earlier import that was killed; return the number of users."""
    total, done = await transfer.left_to_fold(pool), 0
    async with contextlib.aclosing(transfer.fold_imported(pool)) as folded:
        async for users in folded:
            done += users
            progress("users folded", done, total)
    return done
