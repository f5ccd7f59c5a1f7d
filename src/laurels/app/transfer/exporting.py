"""Rows of the ledger into a file: page by page, so that their number does not matter."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import IO, Any

from ...ledger import transfer
from ...ledger.db.pool import Pool
from ..admin_context import AdminContext
from .files import KINDS, FileWriter, OnProgress, open_private, writing_to
from .kinds import Format, What


async def export_rows(
    context: AdminContext,
    what: What,
    form: Format,
    path: Path | None,
    progress: OnProgress,
    *,
    password_hashes: bool,
    spreadsheet_safe: bool,
) -> tuple[int, float]:
    """Write every row, all of one instant, to `path` or standard output; return (rows, seconds).

    The file appears when it is complete, or not at all. Raises TransferError.
    """
    started, done = time.monotonic(), 0
    total = await transfer.count(context.pool, what)
    with _output(path) as stream:
        writer = FileWriter(stream, form, KINDS[what], spreadsheet_safe=spreadsheet_safe)
        async with contextlib.aclosing(_pages(context.pool, what, password_hashes=password_hashes)) as pages:
            async for page in pages:
                writer.write(page)
                done += len(page)
                progress("rows written", done, total)
    return done, time.monotonic() - started


def _pages(pool: Pool, what: What, *, password_hashes: bool) -> AsyncGenerator[list[Any], None]:
    if what == "users":
        return transfer.export_users(pool, password_hashes=password_hashes)
    return transfer.export_types(pool) if what == "action-types" else transfer.export_ledger(pool)


@contextlib.contextmanager
def _output(path: Path | None) -> Iterator[IO[str]]:
    """Yield a private file that gets its name when the block ends without an error, or standard output."""
    if path is None:
        yield sys.stdout
        return
    part = path.with_name(f"{path.name}.part")
    with writing_to(path):
        with open_private(part) as stream:
            yield stream
        part.replace(path)
