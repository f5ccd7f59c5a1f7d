"""Lines of CSV and JSONL files: read and written one by one, never all at once.

In CSV the first line names the members; an empty cell is null, and what is nested stands as JSON in its cell.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import msgspec

from ..ledger.transfer import BadRow
from .errors import NotDone

Format = Literal["csv", "jsonl"]
NESTED = ("metadata", "scoring_rules")
MAX_LINE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Line:
    """A line that was read: a record, or why it is none."""

    number: int
    record: Any


def format_of(path: Path, wanted: Format | None) -> Format:
    """By the name of the file unless it is said."""
    if wanted is not None:
        return wanted
    suffix = path.suffix.lower().removeprefix(".")
    if suffix not in ("csv", "jsonl"):
        raise NotDone(f"say --format csv or --format jsonl: {path} does not tell")
    return "csv" if suffix == "csv" else "jsonl"


def read_lines(stream: IO[str], form: Format, kind: type) -> Iterator[Line | BadRow]:
    """Every line, as a record of `kind` or as a bad row. Raises NotDone for a CSV file whose first line can't be."""
    return _read_csv(stream, kind) if form == "csv" else _read_jsonl(stream, kind)


def _read_jsonl(stream: IO[str], kind: type) -> Iterator[Line | BadRow]:
    decode: Callable[[str], Any] = msgspec.json.Decoder(kind).decode
    number = 0
    while text := stream.readline(MAX_LINE):
        number += 1
        if len(text) == MAX_LINE and not text.endswith("\n"):
            raise NotDone(f"line {number} has more than {MAX_LINE} characters: this is no file of rows")
        if text.strip():
            yield _decoded(number, text, decode)


def _decoded(number: int, text: str, decode: Callable[[str], Any]) -> Line | BadRow:
    try:
        return Line(number, decode(text))
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        return BadRow(number, str(error))


def _read_csv(stream: IO[str], kind: type) -> Iterator[Line | BadRow]:
    csv.field_size_limit(MAX_LINE)
    reader = csv.reader(stream, strict=True)
    try:
        names = next(reader, [])
        _check_header(names, kind)
        for cells in reader:
            if cells:
                yield _converted(reader.line_num, names, cells, kind)
    except csv.Error as error:
        raise NotDone(f"line {reader.line_num} is no CSV: {error}") from error


def _check_header(names: Sequence[str], kind: type) -> None:
    known = {field.name for field in msgspec.structs.fields(kind)}
    strangers = [name for name in names if name not in known]
    if strangers or not names:
        raise NotDone(f"the first line must name members; {strangers[:1]} is none of {', '.join(sorted(known))}")
    if len(set(names)) != len(names):
        raise NotDone("the first line names a member twice")


def _converted(number: int, names: Sequence[str], cells: Sequence[str], kind: type) -> Line | BadRow:
    if len(cells) != len(names):
        return BadRow(number, f"has {len(cells)} cells, the first line {len(names)}")
    try:
        members = {
            name: msgspec.json.decode(cell) if name in NESTED else cell
            for name, cell in zip(names, cells, strict=True)
            if cell
        }
        return Line(number, msgspec.convert(members, kind, strict=False))
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        return BadRow(number, str(error))


class Writer:
    """Writes records of one kind."""

    def __init__(self, stream: IO[str], form: Format, kind: type) -> None:
        self._stream = stream
        self._names = [field.name for field in msgspec.structs.fields(kind)]
        self._csv = csv.writer(stream, lineterminator="\n") if form == "csv" else None
        if self._csv is not None:
            self._csv.writerow(self._names)

    def write(self, records: Sequence[Any]) -> None:
        if self._csv is None:
            encode = msgspec.json.encode
            self._stream.writelines(f"{encode(record).decode()}\n" for record in records)
            return
        for record in records:
            members = msgspec.to_builtins(record)
            self._csv.writerow([_cell(members.get(name), name) for name in self._names])


def _cell(value: object, name: str) -> object:
    if value is None:
        return ""
    return msgspec.json.encode(value).decode() if name in NESTED else value


def opened(path: Path) -> IO[str]:
    """For reading; - is standard input. Raises NotDone."""
    if str(path) == "-":
        return sys.stdin
    try:
        return path.open(encoding="utf-8", newline="", errors="strict")
    except OSError as error:
        raise NotDone(f"can't read {path}: {error.strerror}") from error
