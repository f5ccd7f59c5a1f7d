"""Files of records: their formats, and how they are written.

In CSV the first line names the columns; an empty cell is null, and what is nested stands as JSON in its cell.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal

import msgspec

from .errors import CommandFailed

Format = Literal["csv", "jsonl"]
NESTED = ("metadata", "scoring_rules")
_BEGINS_FORMULA = r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"
_FORMULA = re.compile(_BEGINS_FORMULA)
_NUMERAL = r"(?:[0-9]{16,}|0[0-9]+|[0-9]+[eE][0-9]+)\Z"
_NUMBER = re.compile("-?" + _NUMERAL)
"""What a spreadsheet changes: it keeps 15 digits of a number, none of its leading zeros, and knows exponents."""
ESCAPED = re.compile(f"'+(?:{_BEGINS_FORMULA}|{_NUMERAL})")
"""Cells with an apostrophe before what a spreadsheet would run or change: reading takes one off, so writing puts one
on.
"""


def format_of(path: Path, wanted: Format | None) -> Format:
    """By the name of the file unless it is said."""
    if wanted is not None:
        return wanted
    suffix = path.suffix.lower().removeprefix(".")
    if suffix not in ("csv", "jsonl"):
        raise CommandFailed(f"say --format csv or --format jsonl: {path} does not tell")
    return "csv" if suffix == "csv" else "jsonl"


class _Lines:
    """Ends each row of a csv.writer with LF. With that as its own end of line it would not quote a CR."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, row: str) -> None:
        self._stream.write(row.removesuffix("\r\n") + "\n")


class FileWriter:
    """Writes records of one kind.

    `spreadsheet_safe` puts an apostrophe before text that a spreadsheet would run as a formula (OWASP, "CSV
    injection") and before what it would round or shorten; reading takes it off again. Other numbers stay numbers.
    """

    def __init__(self, stream: IO[str], form: Format, kind: type, *, spreadsheet_safe: bool = False) -> None:
        self._stream = stream
        self._names = [field.name for field in msgspec.structs.fields(kind)]
        self._safe = spreadsheet_safe
        self._csv = csv.writer(_Lines(stream), lineterminator="\r\n") if form == "csv" else None
        if self._csv is not None:
            if spreadsheet_safe:
                stream.write("\ufeff")  # else Excel takes UTF-8 for an older encoding
            self._csv.writerow(self._names)

    def write(self, records: Sequence[Any]) -> None:
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


def opened(path: Path) -> BinaryIO:
    """Open a file for reading; - is standard input. Raises NotDone."""
    if str(path) == "-":
        return sys.stdin.buffer
    try:
        return path.open("rb")
    except OSError as error:
        raise CommandFailed(f"can't read {path}: {error.strerror}") from error
