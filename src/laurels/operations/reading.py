"""Records out of CSV and JSONL files, one by one, each with the line that it begins on.

CSV is read as spreadsheets write it: the first line names the members in any case, separated by commas, semicolons or
tabs; empty columns at the right are ignored, and so are lines without any content. A record that can't be read is a
BadRow. Where nothing after it can be trusted either (an encoding, a quote that is never closed) NotDone is raised.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import msgspec

from ..domain.strict_json import strict_json
from ..ledger.transfer import BadRow, Line
from .errors import NotDone
from .files import ESCAPED, NESTED, Format
from .text import MAX_LINE, TooLong, read_text

DELIMITERS = (",", ";", "\t")
_LONG = f"has more than {MAX_LINE:,} bytes"

Read = Iterator[Line[Any] | BadRow]
_Lines = Iterator[str | TooLong]


def read_records(stream: BinaryIO, form: Format, kind: type) -> Read:
    """Yield every record of `kind`, or why it is bad. Raises NotDone."""
    lines = read_text(stream)
    return _read_csv(lines, kind) if form == "csv" else _read_jsonl(lines, kind)


def _read_jsonl(lines: _Lines, kind: type) -> Read:
    for number, text in enumerate(lines, 1):
        if isinstance(text, TooLong):
            yield BadRow(number, _LONG)
        elif text.strip():
            yield _record(number, lambda text=text: _members(text), kind, strict=True)  # type: ignore[misc]


def _members(text: str) -> Mapping[str, Any]:
    members = strict_json(text.encode())
    if not isinstance(members, dict):
        raise ValueError("is not a JSON object")  # noqa: TRY004  of what was read, not of an argument
    return members


def _read_csv(lines: _Lines, kind: type) -> Read:
    feed = _Feed(lines)
    delimiter, names = _header(next(feed, ""), kind)
    if feed.too_long:
        raise NotDone(f"line 1 {_LONG}: it must name members")
    csv.field_size_limit(MAX_LINE)
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    while True:
        number = feed.begin_record()
        try:
            cells = next(reader, None)
        except csv.Error as error:
            if feed.number > number:
                raise NotDone(f"line {number}: from here on the quotes do not match ({error})") from error
            yield BadRow(number, f"is not CSV: {error}")
            continue
        if feed.too_long:
            yield BadRow(number, _LONG)
        elif cells is None:
            return
        elif any(cells):
            yield _row(number, names, cells, kind)


class _Feed:
    """The lines for a csv.reader, counted. A line that is too long is an empty one, with `too_long` set."""

    def __init__(self, lines: _Lines) -> None:
        self._lines = lines
        self._at_start = True
        self.number = 0
        self.too_long = False

    def begin_record(self) -> int:
        """Return the line on which the next record begins."""
        self._at_start, self.too_long = True, False
        return self.number + 1

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        at_start, self._at_start = self._at_start, False
        if not isinstance(line, TooLong):
            return line
        if not at_start:
            raise NotDone(f"line {self.number} {_LONG}, in the middle of a record")
        self.too_long = True
        return "\n"


def _header(text: str, kind: type) -> tuple[str, list[str]]:
    """Return the delimiter under which the first line names members, and their names."""
    known = {field.name for field in msgspec.structs.fields(kind)}
    readings = [(delimiter, _names(text, delimiter)) for delimiter in DELIMITERS]
    for delimiter, names in readings:
        if names and known.issuperset(names):
            if len(set(names)) != len(names):
                raise NotDone("the first line names a member twice")
            return delimiter, names
    best = max((names for _, names in readings), key=lambda names: len(known.intersection(names)))
    strangers = [name for name in best if name not in known]
    raise NotDone(f"the first line must name members; {strangers[:1]} is none of {', '.join(sorted(known))}")


def _names(text: str, delimiter: str) -> list[str]:
    """In the spelling of members; empty columns at the right are dropped."""
    try:
        cells = next(csv.reader([text], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []
    names = ["_".join(cell.casefold().replace("-", " ").replace("_", " ").split()) for cell in cells]
    while names and not names[-1]:
        names.pop()
    return names


def _row(number: int, names: Sequence[str], cells: Sequence[str], kind: type) -> Line[Any] | BadRow:
    if len(cells) < len(names) or any(cells[len(names) :]):
        return BadRow(number, f"has {len(cells)} cells, the first line {len(names)}")

    def members() -> Mapping[str, Any]:
        return {name: _value(name, cell) for name, cell in zip(names, cells, strict=False) if cell}

    return _record(number, members, kind, strict=False)


def _value(name: str, cell: str) -> Any:
    if name in NESTED:
        return strict_json(cell.encode())
    return cell[1:] if ESCAPED.match(cell) else cell


def _record(number: int, members: Callable[[], Mapping[str, Any]], kind: type, *, strict: bool) -> Line[Any] | BadRow:
    try:
        found = {name: value for name, value in members().items() if value is not None}
        return Line(number, msgspec.convert(found, kind, strict=strict), frozenset(found))
    except ValueError as error:  # also msgspec's, and text that is not UTF-8
        return BadRow(number, str(error))
