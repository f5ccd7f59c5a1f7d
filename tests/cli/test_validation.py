"""The command line takes what the API takes, and speaks of flags and files, not of requests."""

from __future__ import annotations

from pathlib import Path

import pytest

from .commands import answer, laurels
from .test_refusals import refused


@pytest.mark.parametrize("address", ["nomail", "a b@example.org", "a@b@c", "x" * 65 + "@y.org", "a@" + "x" * 250, ""])
def test_an_address_that_is_not_one_is_refused(database_url: str, address: str) -> None:
    refused(laurels("user", "create", "ada", "--email", address, DATABASE_URL=database_url), "ada@example.org")
    assert answer("user", "list", DATABASE_URL=database_url) == []


@pytest.mark.parametrize("name", ["", "x" * 65, "a\tb"])
def test_a_name_of_a_key_that_cannot_be_is_refused(database_url: str, name: str) -> None:
    done = laurels("api-key", "create", name, "--scope", "actions:write", DATABASE_URL=database_url)
    refused(done, "name", "1 to 64 characters")
    assert "PostgreSQL" not in done.stderr


@pytest.mark.parametrize("reason", ["", "x" * 501, "a\tb"])
@pytest.mark.parametrize(
    "arguments",
    [
        ("user", "ban", "ada"),
        ("user", "adjust", "ada", "5"),
        ("settings", "set", "login_rate", "5"),
        ("api-key", "revoke", "1"),
        ("type", "edit", "lesson", "--base-score", "3"),
    ],
)
def test_a_reason_that_cannot_be_is_refused(arguments: tuple[str, ...], reason: str) -> None:
    refused(laurels(*arguments, "--reason", reason), "--reason", "1 to 500 characters")


def test_a_similar_name_is_allowed_by_a_flag(database_url: str) -> None:
    answer("user", "create", "Arno", DATABASE_URL=database_url)
    done = laurels("user", "create", "Amo", "--role", "admin", DATABASE_URL=database_url)
    refused(done, "(--allow-similar)")
    assert "allow_similar" not in done.stderr


def test_a_message_names_no_place_in_a_request(database_url: str) -> None:
    answer("user", "create", "ada", DATABASE_URL=database_url)
    for arguments in (("user", "create", "ADA"), ("user", "create", "x")):
        done = laurels(*arguments, DATABASE_URL=database_url)
        refused(done)
        assert "$" not in done.stderr


@pytest.mark.parametrize(
    ("text", "words"), [("{", ("draft.json",)), ('{"daily_cap": "x"}', ("draft.json", "$.daily_cap"))]
)
def test_rules_that_cannot_be_are_refused_with_their_file(tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    rules = tmp_path / "draft.json"
    rules.write_text(text)
    refused(laurels("type", "try", "lesson", "--user", "ada", "--rules", str(rules)), str(tmp_path), *words)


def test_metadata_that_cannot_be_is_refused_with_its_flag() -> None:
    refused(laurels("type", "try", "lesson", "--user", "ada", "--metadata", '{"a": "\\u0000"}'), "--metadata", "$.a")


def test_a_type_that_cannot_be_is_explained(database_url: str) -> None:
    done = laurels("type", "create", "", "--base-score", "3", DATABASE_URL=database_url)
    refused(done, "name", "1 to 64 characters")
    assert "`" not in done.stderr
