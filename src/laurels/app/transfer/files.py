"""Files of records: their formats, and writing them.

In CSV the first line names the columns, an empty cell is null, and a nested value stands as JSON in its cell.
"""

from __future__ import annotations

import contextlib
import csv
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, BinaryIO

import msgspec

from ...ledger.transfer import LedgerRecord, TypeRecord, UserRecord
from .kinds import Format, What

OnProgress = Callable[[str, int, int | None], None]
"""Called with what is counted, how many so far, and of how many if that is known."""

KINDS: dict[What, type] = {"users": UserRecord, "action-types": TypeRecord, "ledger": LedgerRecord}
NESTED = ("metadata", "scoring_rules")
_BEGINS_FORMULA = r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"
_FORMULA = re.compile(_BEGINS_FORMULA)
_NUMERAL = r"(?:[0-9]{16,}|0[0-9]+|[0-9]+[eE][0-9]+)\Z"
_NUMBER = re.compile("-?" + _NUMERAL)
"""Values that a spreadsheet changes: it keeps 15 digits of a number, drops leading zeros, and reads exponents."""
ESCAPED = re.compile(f"'+(?:{_BEGINS_FORMULA}|{_NUMERAL})")
"""Text with an apostrophe before what a spreadsheet would run or change.

Reading removes one apostrophe from such a cell, so writing adds one.
"""


class TransferError(Exception):
    """A file can't be read or written; the message says where and what to do."""


class _Lines:
    """Ends each row of a csv.writer with LF: a writer that ends lines so itself would not quote a CR."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, row: str) -> None:
        self._stream.write(row.removesuffix("\r\n") + "\n")


class FileWriter:
    """Writes records of one kind.

    `spreadsheet_safe` puts an apostrophe before text that a spreadsheet would run as a formula (OWASP, "CSV
    injection") and before numbers that it would round or shorten; reading removes it. Other numbers stay numbers.
    """

    def __init__(self, stream: IO[str], form: Format, kind: type, *, spreadsheet_safe: bool = False) -> None:
        self._stream = stream
        self._names = [field.name for field in msgspec.structs.fields(kind)]
        self._safe = spreadsheet_safe
        self._csv = csv.writer(_Lines(stream), lineterminator="\r\n") if form == "csv" else None
        if self._csv is not None:
            if spreadsheet_safe:
                stream.write("\ufeff")  # without it Excel reads UTF-8 as an older encoding
            self._csv.writerow(self._names)

    def write(self, records: Sequence[Any]) -> None:
        """Append records."""
        if self._csv is None:
            encode = msgspec.json.encode
            self._stream.write("".join(f"{encode(record).decode()}\n" for record in records))
            return
        for record in records:
            members = msgspec.to_builtins(record)
            self._csv.writerow([self._cell(members.get(name), name) for name in self._names])

    def _cell(self, value: object, name: str) -> object:
        if value is None:
            return ""
        if name in NESTED:
            return msgspec.json.encode(value).decode()
        if isinstance(value, str) and (ESCAPED.match(value) or (self._safe and _FORMULA.match(value))):
            return "'" + value
        if self._safe and isinstance(value, str | int) and _NUMBER.match(str(value)):
            return f"'{value}"
        return value


def open_source(path: Path) -> BinaryIO:
    """Open a file for reading; - is standard input. Raises TransferError."""
    if str(path) == "-":
        return sys.stdin.buffer
    try:
        return path.open("rb")
    except OSError as error:
        raise TransferError(f"can't read {path}: {error.strerror}") from error


def open_private(path: Path) -> IO[str]:
    """Open a file for writing that only its owner may read: it holds personal data."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    return open(descriptor, "w", encoding="utf-8", newline="")  # noqa: PTH123  a descriptor


@contextlib.contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Turn an OSError within the block into a TransferError that names the file."""
    try:
        yield
    except OSError as error:
        raise TransferError(f"can't write {path}: {error.strerror}") from error
