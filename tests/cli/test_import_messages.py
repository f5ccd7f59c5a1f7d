"""Messages of an import about a bad row or header: the column, its value, and what is expected."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from laurels.app.transfer.files import TransferError
from laurels.app.transfer.kinds import Format
from laurels.app.transfer.reading import read_records
from laurels.ledger.transfer import BadRow, LedgerRecord, Line, TypeRecord, UserRecord

from .commands import answer, laurels

LEDGER = "username,score_earned,"
NAMES = {UserRecord: "username", TypeRecord: "name,base_score", LedgerRecord: "username,score_earned"}
VALUES = {UserRecord: "ada", TypeRecord: "run,1", LedgerRecord: "ada,1"}


def first(text: str, kind: type, form: Format = "csv", ignore: tuple[str, ...] = ()) -> Line | BadRow:
    return next(read_records(io.BytesIO(text.encode()), form, kind, ignore))


@pytest.mark.parametrize(
    ("kind", "column", "cell", "words"),
    [
        (LedgerRecord, "score_earned", '"1,5"', ("'1,5'", "whole number", "such as 10")),
        (LedgerRecord, "score_earned", "99999999999999999999", ("64 bits",)),
        (LedgerRecord, "score_earned", "1.23457E+18", ("'1.23457E+18'", "whole number")),
        (LedgerRecord, "created_at", "01.03.2025", ("'01.03.2025'", "2025-03-01T12:00:00Z")),
        (LedgerRecord, "created_at", "2025-03-01T12:00:00", ("time zone", "2025-03-01T12:00:00Z")),
        (LedgerRecord, "kind", "bonus", ("'bonus'", "completion, reversal, adjustment")),
        (LedgerRecord, "metadata", "{", ("'{'", "JSON")),
        (LedgerRecord, "metadata", "[1]", ("[1]", "JSON object")),
        (LedgerRecord, "action_type", "x" * 70, ("1 to 64 characters",)),
        (UserRecord, "role", "king", ("'king'", "player, moderator, admin")),
        (UserRecord, "email", "nomail", ("'nomail'", "ada@example.org")),
        (UserRecord, "email", "x" * 65 + "@y.org", ("ada@example.org",)),
        (UserRecord, "password_hash", "sesame", ("argon2id",)),
        (TypeRecord, "is_active", "maybe", ("'maybe'", "true or false")),
        (TypeRecord, "scoring_rules", '"{""daily_cap"": ""x""}"', ("$.daily_cap",)),
    ],
)
def test_a_bad_cell_is_explained(kind: Any, column: str, cell: str, words: tuple[str, ...]) -> None:
    names, values = NAMES[kind], VALUES[kind]
    if column in names:
        names, values = names.removesuffix(f",{column}"), values.rsplit(",", 1)[0]
    row = first(f"{names},{column}\n{values},{cell}\n", kind)
    assert isinstance(row, BadRow)
    assert row.why.startswith(f"{column}: ")
    for word in words:
        assert word in row.why
    for jargon in ("regex", "Expected", "`", "RFC3339"):
        assert jargon not in row.why


def test_a_password_hash_is_not_repeated() -> None:
    """The report is read by more people than the file."""
    row = first("username,password_hash\nada,sesame\n", UserRecord)
    assert isinstance(row, BadRow)
    assert "sesame" not in row.why


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"username": "ada"}', ("score_earned", "missing")),
        ('{"username": "ada", "score_earned": 1, "points": 5}', ("'points'", "not a column", "--ignore-columns")),
        ('{"username": 3, "score_earned": 1}', ("username: 3", "text")),
        ('{"username": "ada", "score_earned": "1"}', ("score_earned: '1'", "whole number")),
    ],
)
def test_a_bad_member_is_explained(line: str, words: tuple[str, ...]) -> None:
    row = first(line + "\n", LedgerRecord, "jsonl")
    assert isinstance(row, BadRow)
    for word in words:
        assert word in row.why


def test_an_unknown_column_is_named_as_written() -> None:
    """With the ones there are, and the way to skip it."""
    with pytest.raises(TransferError) as refused:
        first("username;Fav. Colour\nada;red\n", UserRecord)
    message = str(refused.value)
    for word in ("'Fav. Colour'", "columns", "username", "created_at", '--ignore-columns "Fav. Colour"'):
        assert word in message
    assert "member" not in message


@pytest.mark.parametrize("text", ["", "\ufeff", "\n\r\n"])
def test_an_empty_file_is_said_to_be_empty(text: str) -> None:
    with pytest.raises(TransferError, match="the file is empty"):
        first(text, UserRecord)


@pytest.mark.parametrize("head", ["sep=;\r\n", '"sep=;"\n', "SEP=;\n", "\n"])
def test_a_line_that_excel_puts_first_is_skipped(head: str) -> None:
    row = first(f"{head}username;email\nada;ada@example.org\n", UserRecord)
    assert isinstance(row, Line)
    assert (row.number, row.record.email) == (3, "ada@example.org")


def test_the_separator_that_excel_names_is_taken() -> None:
    row = first("sep=|\nusername|email\nada|ada@example.org\n", UserRecord)
    assert isinstance(row, Line)
    assert row.record.email == "ada@example.org"


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("csv", "Fav. Colour,username,score\nred,ada,{broken\n"),
        ("jsonl", '{"username": "ada", "Fav. Colour": "red", "score": 3}\n'),
    ],
)
def test_columns_are_ignored_when_asked_to(form: Format, text: str) -> None:
    row = first(text, UserRecord, form, ("fav. colour", "Score"))
    assert isinstance(row, Line)
    assert row.given == {"username"}


def test_columns_to_ignore_are_a_flag(database_url: str, tmp_path: Path) -> None:
    people = tmp_path / "users.csv"
    people.write_text("username,Fav. Colour,Shoe size\nada,red,42\n")
    arguments = ("import", "users", str(people), "--ignore-columns", "Fav. Colour", "--ignore-columns", "Shoe size")
    assert answer(*arguments, DATABASE_URL=database_url)["added"] == 1
    refused = laurels("import", "users", str(people), "--ignore-columns", "username", DATABASE_URL=database_url)
    assert refused.returncode == 2
    assert "Fav. Colour" in refused.stderr or "username" in refused.stderr
