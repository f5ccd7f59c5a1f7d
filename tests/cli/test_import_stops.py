"""An import that stops at a bad row: what stands above it is in, nothing that stands below it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .commands import answer, laurels

HEAD = "username,score_earned,action_type,action_identifier\n"


def stopped(url: str, what: str, path: Path) -> dict[str, Any]:
    """Import without --on-error; the report of an import that ended at a bad row."""
    done = laurels("import", what, str(path), "--json", DATABASE_URL=url)
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert report["bad_rows"] == 1
    assert [row["line"] for row in report["bad"]] == [report["stopped_at"]]
    return report


def exported(url: str, what: str, column: str) -> set[str]:
    done = laurels("export", what, "--format", "jsonl", DATABASE_URL=url)
    return {json.loads(line)[column] for line in done.stdout.splitlines()}


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("ada,7,lesson,i1\n", "differs"),
        ("stranger,1,lesson,x\n", "no user"),
        ("ada,1,fly,x\n", "no action type"),
        ("ada,much,lesson,x\n", "score_earned"),
    ],
)
def test_no_row_below_a_bad_row_of_the_ledger_goes_in(database_url: str, tmp_path: Path, bad: str, why: str) -> None:
    answer("user", "create", "ada", DATABASE_URL=database_url)
    history = tmp_path / "ledger.csv"
    history.write_text(HEAD + "ada,1,lesson,i1\n" + bad + "ada,1,lesson,i3\nstranger,1,lesson,i4\nada,1,lesson,i5\n")
    report = stopped(database_url, "ledger", history)
    assert (report["added"], report["stopped_at"]) == (1, 3)
    assert why in report["bad"][0]["why"]
    assert exported(database_url, "ledger", "action_identifier") == {"i1"}
    assert answer("verify", DATABASE_URL=database_url)["clean"]


def test_no_row_below_one_that_postgresql_cannot_store_goes_in(database_url: str, tmp_path: Path) -> None:
    """A claimed value is in an index; the row is found by halving."""
    answer("user", "create", "ada", DATABASE_URL=database_url)
    history = tmp_path / "ledger.jsonl"
    good = '{"username": "ada", "score_earned": 3, "action_type": "lesson", "action_identifier": "%s"}\n'
    surrogate = '{"username": "ada", "score_earned": 3, "action_type": "lesson", "action_identifier": "b", '
    surrogate += '"metadata": {"a": "\\u0000"}}\n'
    history.write_text(good % "a" + surrogate + good % "c" + good % "d")
    assert (stopped(database_url, "ledger", history))["stopped_at"] == 2
    assert exported(database_url, "ledger", "action_identifier") == {"a"}


def test_no_user_below_a_bad_one_goes_in(database_url: str, tmp_path: Path) -> None:
    people = tmp_path / "users.csv"
    people.write_text("username,email\nann,a@example.org\nbob,A@example.org\ncid,\n\u0430nn,\n")
    report = stopped(database_url, "users", people)
    assert (report["added"], report["stopped_at"]) == (1, 3)
    assert exported(database_url, "users", "username") == {"ann"}


def test_no_action_type_below_a_bad_one_goes_in(database_url: str, tmp_path: Path) -> None:
    """Except those that a good one above requires."""
    types = tmp_path / "types.jsonl"
    requiring = {"name": "first", "base_score": 1, "scoring_rules": {"requires": [{"action_type": "third"}]}}
    rows = [requiring, {"name": "lesson", "base_score": 999}, {"name": "third", "base_score": 1}]
    types.write_text("\n".join(map(json.dumps, [*rows, {"name": "fourth", "base_score": 1}])))
    report = stopped(database_url, "action-types", types)
    assert (report["added"], report["stopped_at"]) == (2, 2)
    names = exported(database_url, "action-types", "name")
    assert {"first", "third"} <= names
    assert "fourth" not in names


def test_a_file_that_is_unreadable_below_the_bad_row_stops_at_that_row(database_url: str, tmp_path: Path) -> None:
    people = tmp_path / "users.csv"
    people.write_bytes(b"username\nann\nx\nj\xf6rg\n")
    assert stopped(database_url, "users", people)["unread"] is None
