"""Files as spreadsheets and editors write them: each record is read, or reported with its line."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laurels.app.transfer.files import FileWriter, TransferError
from laurels.app.transfer.kinds import Format
from laurels.app.transfer.reading import read_records
from laurels.app.transfer.text import MAX_LINE
from laurels.ledger.transfer import BadRow, LedgerRecord, Line, TypeRecord, UserRecord

KINDS = (UserRecord, TypeRecord, LedgerRecord)
SHORT, LONG = 200, 20_000
"""Inputs that are tried, and those of `make test-slow`."""


def read(data: bytes | str, form: Format = "csv", kind: type = UserRecord) -> list[Line[Any] | BadRow]:
    return list(read_records(io.BytesIO(data if isinstance(data, bytes) else data.encode()), form, kind))


def names(data: bytes | str) -> list[str]:
    return [line.record.username if isinstance(line, Line) else line.why for line in read(data)]


WRITTEN = {
    "as it is exported": b"username,email\nann,a@b\nbob,\n",
    "with a byte order mark": b"\xef\xbb\xbfusername,email\nann,a@b\nbob,\n",
    "with semicolons": b"username;email\nann;a@b\nbob;\n",
    "with tabs": b"username\temail\nann\ta@b\nbob\t\n",
    "with CRLF": b"username,email\r\nann,a@b\r\nbob,\r\n",
    "with CR": b"username,email\rann,a@b\rbob,\r",
    "without a last end of line": b"username,email\nann,a@b\nbob,",
    "with another case and spaces": b" UserName , E-Mail\n".replace(b"E-Mail", b"EMAIL") + b"ann,a@b\nbob,\n",
    "with empty columns at the right": b"username,email,,\nann,a@b,,\nbob,,,\n",
    "with empty lines": b"username,email\n\nann,a@b\n,,\nbob,\n\n",
    "quoted": b'"username","email"\n"ann","a@b"\n"bob",""\n',
    "as Excel's Unicode text": "username\temail\r\nann\ta@b\r\nbob\t\r\n".encode("utf-16"),
    "in another order": b"email,username\na@b,ann\n,bob\n",
}


@pytest.mark.parametrize("how", WRITTEN)
def test_how_it_is_written_does_not_matter(how: str) -> None:
    records = [(line.record.username, line.record.email, line.given) for line in read(WRITTEN[how]) if line.record]
    assert records == [
        ("ann", "a@b", frozenset({"username", "email"})),
        ("bob", None, frozenset({"username"})),
    ]


def test_names_of_members_may_be_spelt_as_people_do() -> None:
    """Spaces and hyphens for underscores, in any case."""
    (line,) = read("UserName,Score Earned,ACTION-TYPE,action identifier\nann,-5,lesson,x\n", kind=LedgerRecord)
    assert isinstance(line, Line)
    assert (line.record.score_earned, line.record.action_type, line.record.action_identifier) == (-5, "lesson", "x")


OTHERS = {
    "windows-1252": ("username\nann\nj\u00f6rg\n".encode("cp1252"), "line 3, byte 2 of the line: 0xf6"),
    "a cut character": ("username\nann\nj\u00f6".encode()[:-1], "line 3, byte 2 of the line: 0xc3"),
    "UTF-16 without a mark": ("username\nann\n".encode("utf-16-le"), "UTF-16 without a byte order mark"),
    "a cut UTF-16": ("username\nann\n".encode("utf-16")[:-1], "byte 27 of the file is not UTF-16"),
}


@pytest.mark.parametrize("which", OTHERS)
def test_another_encoding_is_named_by_line_and_byte(which: str) -> None:
    """Guessing would change names."""
    data, where = OTHERS[which]
    with pytest.raises(TransferError) as told:
        read(data)
    assert where in str(told.value)


def test_bad_records_are_named_by_the_line_they_begin_on() -> None:
    """Quoted ends of lines count as lines; what follows a bad record is read."""
    text = (
        'username,email,role\nann,,\n"two\nlines",,\nbob,a@b,player,more\ncid\n"x"y,,\n\0\0\0,,\n'
        f"{'d' * MAX_LINE},,\neve,,king\nfay,,\n"
    )
    found = [line.number if isinstance(line, Line) else -line.line for line in read(text)]
    assert found == [2, -3, -5, -6, -7, -8, -9, -10, 11]


def test_a_member_that_stands_twice_is_a_bad_record() -> None:
    """A decoder would take the last one in silence."""
    good, twice, nested = '{"username": "ann"}', '{"username": "bob", "username": "cid"}', '{"n": 1, "n": 2}'
    found = read(f"{good}\n{twice}\n[1]\n", "jsonl")
    assert [line.number if isinstance(line, Line) else -line.line for line in found] == [1, -2, -3]
    (bad,) = read('username,score_earned,metadata\nann,1,"' + nested.replace('"', '""') + '"\n', kind=LedgerRecord)
    assert isinstance(bad, BadRow)
    assert "twice" in bad.why


def test_a_quote_that_is_never_closed_ends_it() -> None:
    """The rest of the file can't be trusted; the records above have been read."""
    records = read_records(io.BytesIO(b'username\nann\n"bob\ncid\n'), "csv", UserRecord)
    assert next(records).record.username == "ann"
    with pytest.raises(TransferError, match="line 3"):
        next(records)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_line_without_end_is_not_kept(form: Format) -> None:
    """64 MiB without an end of line take a few of its blocks in memory, and are one bad record."""

    class Endless(io.RawIOBase):
        """A first line, much of nothing, and a last line."""

        def __init__(self) -> None:
            self._left = [b"username\n", *[b"x" * MAX_LINE] * 1024, b'\n{"username": "ann"}\n']

        def read(self, _: int = -1) -> bytes:
            return self._left.pop(0) if self._left else b""

    tracemalloc.start()
    found = list(read_records(Endless(), form, UserRecord))  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert BadRow(2, "has more than 65,536 bytes") in found
    assert len(found) in (2, 3)
    assert peak < 4 * 1024 * 1024


@pytest.mark.parametrize("safe", [True, False])
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20), min_size=1))
def test_text_goes_out_and_comes_in_unchanged(safe: bool, texts: list[str]) -> None:
    """Text comes back unchanged; in safe mode a spreadsheet runs no cell, and numbers are numbers."""
    stream = io.StringIO(newline="")
    writer = FileWriter(stream, "csv", TypeRecord, spreadsheet_safe=safe)
    records = [TypeRecord(name=f"n{n}", base_score=-n, description=text) for n, text in enumerate(texts)]
    writer.write(records)
    back = read(stream.getvalue(), kind=TypeRecord)
    assert [line.record for line in back if isinstance(line, Line)] == records
    if safe:
        rows = list(csv.reader(io.StringIO(stream.getvalue().removeprefix("\ufeff"), newline="")))[1:]
        assert all(not row[2].startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows)
        assert [int(row[1]) for row in rows] == [-n for n in range(len(texts))]


_CELL = st.one_of(
    st.sampled_from(["", "ann", "ADA", '"', '""', "'=1", "=1", "-5", "9" * 30, "[" * 300, '{"a":1}', "\0", "NaN"]),
    st.sampled_from(["2026-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "true", "player", "a@b", "\u0430da"]),
    st.text(max_size=8),
)
_SEPARATOR = st.sampled_from([",", ";", "\t", "\n", "\r\n", "\r", '"'])
_HEADER = st.lists(
    st.sampled_from(["username", "Score Earned", "kind", "metadata", "name", "base_score", "scoring_rules", "", "x"]),
    max_size=5,
)
_TEXT = st.builds(
    lambda header, delimiter, cells: delimiter.join(header) + "\n" + "".join(a + b for a, b in cells),
    _HEADER,
    st.sampled_from([",", ";", "\t"]),
    st.lists(st.tuples(_CELL, _SEPARATOR), max_size=30),
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["username", "a", "metadata"]), inner),
    max_leaves=8,
)
_BYTES = st.one_of(
    st.binary(max_size=300),
    _TEXT.map(lambda text: text.encode("utf-8", "surrogatepass")),
    _TEXT.map(lambda text: text.encode("utf-16", "surrogatepass")),
    st.lists(_JSON, max_size=5).map(lambda values: "\n".join(map(json.dumps, values)).encode()),
)


def _fuzz(data: bytes, form: Format, kind: type) -> None:
    """Every record is one with a line, or bad with a reason, in order of lines; only TransferError is raised."""
    last = 0
    try:
        for record in read_records(io.BytesIO(data), form, kind):
            line = record.number if isinstance(record, Line) else record.line
            assert line > last
            assert isinstance(record, Line) or record.why
            last = line
    except TransferError:
        return


@given(_BYTES, st.sampled_from(["csv", "jsonl"]), st.sampled_from(KINDS))
@settings(max_examples=SHORT, deadline=None)
def test_any_file_is_read_or_refused(data: bytes, form: Format, kind: type) -> None:
    _fuzz(data, form, kind)


@pytest.mark.slow
@given(_BYTES, st.sampled_from(["csv", "jsonl"]), st.sampled_from(KINDS))
@settings(max_examples=LONG, deadline=None)
def test_very_many_files_are_read_or_refused(data: bytes, form: Format, kind: type) -> None:
    _fuzz(data, form, kind)


@pytest.mark.parametrize("cell", ["[" * 20_000, '{"a":' * 10_000])
def test_nesting_has_an_end(cell: str) -> None:
    """In a cell and in a line."""
    quoted = cell.replace('"', '""')
    for data, form in ((f'username,metadata\nann,"{quoted}"\n', "csv"), (cell, "jsonl")):
        (bad,) = read(data, form, LedgerRecord)  # type: ignore[arg-type]
        assert isinstance(bad, BadRow)
