"""Records out of CSV and JSONL files, one by one, each with the line that it begins on.

CSV is read as spreadsheets write it. The first line names the columns, in any case, separated by commas, semicolons or
tabs, unless Excel's `sep=;` stands above it. Empty columns at the right and empty lines are ignored.

A record that can't be read becomes a BadRow. TransferError is raised where the rest of the file can't be trusted
either: a wrong encoding, a quote that is never closed.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import msgspec

from ...domain.schema_hints import SHOWN, explain_member
from ...domain.strict_json import strict_json
from ...ledger.transfer import BadRow, Line
from .files import ESCAPED, NESTED, TransferError
from .kinds import Format
from .text import MAX_LINE, TooLong, read_text

DELIMITERS = (",", ";", "\t")
SHOWN_UNKNOWN = 5
"""Unknown columns named in one message."""
_SEPARATOR_LINE = re.compile(r'"?sep=([^"\w\s]|\t)"?', re.IGNORECASE)
"""Excel writes such a line above the header to name the separator."""
_LONG = f"has more than {MAX_LINE:,} bytes"

Read = Iterator[Line[Any] | BadRow]
_Lines = Iterator[str | TooLong]


def read_records(stream: BinaryIO, form: Format, kind: type, ignore: Sequence[str] = ()) -> Read:
    """Yield every record of `kind`, or why it is bad, skipping the columns in `ignore`. Raises TransferError."""
    lines = read_text(stream)
    ignored = frozenset(map(_name, ignore))
    if needed := ignored.intersection(field.name for field in msgspec.structs.fields(kind) if field.required):
        raise TransferError(f"--ignore-columns: every record needs {', '.join(sorted(needed))}")
    return _read_csv(lines, kind, ignored) if form == "csv" else _read_jsonl(lines, kind, ignored)


def _read_jsonl(lines: _Lines, kind: type, ignored: frozenset[str]) -> Read:
    for number, text in enumerate(lines, 1):
        if isinstance(text, TooLong):
            yield BadRow(number, _LONG)
        elif text.strip():
            yield _record(number, lambda text=text: _members(text, ignored), kind, strict=True)  # type: ignore[misc]


def _members(text: str, ignored: frozenset[str]) -> Mapping[str, Any]:
    members = strict_json(text.encode())
    if not isinstance(members, dict):
        raise ValueError("is not a JSON object")  # noqa: TRY004  of what was read, not of an argument
    return {name: value for name, value in members.items() if _name(name) not in ignored} if ignored else members


def _read_csv(lines: _Lines, kind: type, ignored: frozenset[str]) -> Read:
    counted = _CountedLines(lines)
    delimiter, names = _header(counted, kind, ignored)
    csv.field_size_limit(MAX_LINE)
    reader = csv.reader(counted, delimiter=delimiter, strict=True)
    while True:
        number = counted.begin_record()
        try:
            cells = next(reader, None)
        except csv.Error as error:
            if counted.number > number:
                raise TransferError(f"line {number}: from here on the quotes do not match ({error})") from error
            yield BadRow(number, f"is not CSV: {error}")
            continue
        if counted.too_long:
            yield BadRow(number, _LONG)
        elif cells is None:
            return
        elif any(cells):
            yield _row(number, names, cells, kind, ignored)


class _CountedLines:
    """Counts the lines that a csv.reader takes, and replaces one that is too long by an empty one.

    `too_long` is set when the record begun last had such a line.
    """

    def __init__(self, lines: _Lines) -> None:
        self._lines = lines
        self._at_start = True
        self.number = 0
        self.too_long = False

    def begin_record(self) -> int:
        """Return the line on which the next record begins."""
        self._at_start, self.too_long = True, False
        return self.number + 1

    def __iter__(self) -> _CountedLines:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        at_start, self._at_start = self._at_start, False
        if not isinstance(line, TooLong):
            return line
        if not at_start:
            raise TransferError(f"line {self.number} {_LONG}, in the middle of a record")
        self.too_long = True
        return "\n"


def _header(counted: _CountedLines, kind: type, ignored: frozenset[str]) -> tuple[str, list[str]]:
    """Return the delimiter with which the first line that is not empty names known columns, and their names."""
    text = _first_line(counted)
    delimiters: Sequence[str] = DELIMITERS
    if (separator := _SEPARATOR_LINE.fullmatch(text.strip("\r\n"))) is not None:
        delimiters, text = (separator[1],), _first_line(counted)
    known = ignored.union(field.name for field in msgspec.structs.fields(kind))
    readings = [(delimiter, _headers(text, delimiter)) for delimiter in delimiters]
    for delimiter, headers in readings:
        names = [_name(header) for header in headers]
        if names and known.issuperset(names):
            _check_unique([name for name in names if name not in ignored])
            return delimiter, names
    best = max((headers for _, headers in readings), key=lambda headers: len(known.intersection(map(_name, headers))))
    unknown = [header for header in best if _name(header) not in known]
    if not unknown:
        raise TransferError(f"line {counted.number} must name the columns, separated by commas, semicolons or tabs")
    raise TransferError(
        f"line {counted.number} must name the columns: {_unknown_columns(unknown[:SHOWN_UNKNOWN], kind)}"
    )


def _unknown_columns(names: Sequence[str], kind: type) -> str:
    known = ", ".join(field.name for field in msgspec.structs.fields(kind))
    skip = " ".join(f"--ignore-columns {_quoted(name)}" for name in names)
    listed = ", ".join(repr(name) for name in names)
    is_not = "is not a column" if len(names) == 1 else "are not columns"
    return f"{listed} {is_not}; the columns are {known}. To skip: {skip}"


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[\w-]+", name) else '"' + name.replace('"', '\\"') + '"'


def _first_line(counted: _CountedLines) -> str:
    """Return the next line that is not empty. Raises TransferError when there is none, or it is too long."""
    while True:
        counted.begin_record()
        text = next(counted, None)
        if text is None:
            raise TransferError("the file is empty: its first line must name the columns")
        if counted.too_long:
            raise TransferError(f"line {counted.number} {_LONG}: it must name the columns")
        if text.strip():
            return text


def _check_unique(names: Sequence[str]) -> None:
    for position, name in enumerate(names):
        if name in names[:position]:
            raise TransferError(f"the first line names the column {name!r} twice")


def _headers(text: str, delimiter: str) -> list[str]:
    """Return the column names as they are written, without empty ones at the right."""
    try:
        cells = [cell.strip() for cell in next(csv.reader([text], delimiter=delimiter, strict=True), [])]
    except csv.Error:
        return []
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _name(header: str) -> str:
    """Return a column's name in lower case with underscores."""
    return "_".join(header.casefold().replace("-", " ").replace("_", " ").split())


def _row(
    number: int, names: Sequence[str], cells: Sequence[str], kind: type, ignored: frozenset[str]
) -> Line[Any] | BadRow:
    if len(cells) < len(names) or any(cells[len(names) :]):
        return BadRow(number, f"has {len(cells)} cells, the first line {len(names)}")

    def members() -> Mapping[str, Any]:
        given = zip(names, cells, strict=False)
        return {name: _value(name, cell) for name, cell in given if cell and name not in ignored}

    return _record(number, members, kind, strict=False)


def _value(name: str, cell: str) -> Any:
    if name in NESTED:
        return _nested(name, cell)
    return cell[1:] if ESCAPED.match(cell) else cell


def _nested(name: str, cell: str) -> Any:
    try:
        return strict_json(cell.encode())
    except ValueError as error:
        raise ValueError(f"{name}: {cell[:SHOWN]!r} is not JSON ({error})") from error


def _record(number: int, members: Callable[[], Mapping[str, Any]], kind: type, *, strict: bool) -> Line[Any] | BadRow:
    found: dict[str, Any] = {}
    try:
        found = {name: value for name, value in members().items() if value is not None}
        return Line(number, msgspec.convert(found, kind, strict=strict), frozenset(found))
    except msgspec.ValidationError as error:
        known = {field.name for field in msgspec.structs.fields(kind)}
        unknown = [name for name in found if name not in known]
        return BadRow(number, _unknown_columns(unknown, kind) if unknown else explain_member(error, kind, found))
    except ValueError as error:  # includes msgspec.DecodeError, and text that is not UTF-8
        return BadRow(number, str(error))
