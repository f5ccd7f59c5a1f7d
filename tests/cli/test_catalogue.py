"""Action types, boards and settings edited from the command line, and their audit trail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from laurels.cli import app

from .commands import answer, laurels

COMMANDS = [
    *("type list", "type show", "type create", "type edit", "type try"),
    *("board list", "board create", "board edit", "board archive", "board restore"),
    *("user list", "user show", "audit", "settings set", "settings unset"),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    app([*command.split(), "--help"], result_action="return_value")
    assert "Example" in capsys.readouterr().out


def test_an_action_type_is_made_tried_and_changed(database_url: str, tmp_path: Path) -> None:
    """With its rules from a file; what is not named stays."""
    rules = tmp_path / "rules.json"
    rules.write_text('{"daily_cap": 2, "metadata": {"level": {"type": "integer", "maximum": 3}}}')

    def ask(*arguments: str) -> Any:
        return answer(*arguments, DATABASE_URL=database_url)

    made = ask("type", "create", "run", "--base-score", "7", "--rules", str(rules), "--reason", "autumn")
    assert (made["version"], made["scoring_rules"]["daily_cap"]) == (1, 2)
    ask("user", "create", "ada")
    assert ask("type", "try", "run", "--user", "ada")["score"] == 7
    refused = laurels(
        *("type", "try", "run", "--user", "ada", "--metadata", '{"level": 9}', "--json"), DATABASE_URL=database_url
    )
    assert (refused.returncode, json.loads(refused.stdout)["rule"]) == (1, "metadata")
    edited = ask("type", "edit", "run", "--base-score", "9", "--no-active")
    assert edited == made | {"base_score": 9, "is_active": False, "version": 2}
    assert ask("type", "show", "run") == edited
    assert "run" in laurels("type", "list", DATABASE_URL=database_url).stdout
    edit, user, creation = ask("audit", "--limit", "3")
    assert (edit["act"], edit["before"]["base_score"], edit["after"]["base_score"]) == ("action_type.edit", 7, 9)
    assert creation["reason"] == "autumn"
    assert creation["actor"].startswith("operator:")
    assert user["act"] == "user.create"


def test_what_can_not_be_is_one_line(database_url: str, tmp_path: Path) -> None:
    """Exit code 2, the path that is wrong, no traceback, nothing written."""
    bad = tmp_path / "bad.json"
    bad.write_text('{"daily_kap": 2}')
    for arguments in (
        ("type", "create", "run", "--base-score", "7", "--rules", str(bad)),
        ("type", "create", "run", "--base-score", "7", "--rules", str(tmp_path / "none")),
        ("type", "create", "", "--base-score", "7"),
        ("type", "create", "run", "--base-score", str(2**63)),
        ("type", "edit", "none", "--base-score", "7"),
        ("type", "try", "lesson", "--user", "stranger"),
        ("board", "create", "UPPER", "Upper"),
        ("board", "create", "x", "X", "--time-zone", "Mars/Olympus"),
        ("board", "archive", "points"),
        ("settings", "set", "user_rate", "0"),
        ("settings", "set", "colour", "red"),
    ):
        done = laurels(*arguments, DATABASE_URL=database_url)
        assert (done.returncode, done.stdout) == (2, ""), arguments
        assert len(done.stderr.splitlines()) == 1, done.stderr
    assert answer("audit", DATABASE_URL=database_url) == []


def test_boards_and_settings(database_url: str) -> None:
    def ask(*arguments: str) -> Any:
        return answer(*arguments, DATABASE_URL=database_url)

    assert ask("board", "create", "runs", "Runs", "--aggregate", "best", "--types", "lesson")["state"] == "filling"
    assert ask("board", "edit", "points", "--name", "All time ever", "--points-cap", "500")["daily_points_cap"] == 500
    assert ask("board", "edit", "points", "--points-cap", "0")["daily_points_cap"] is None
    assert ask("board", "archive", "points-weekly")["state"] == "archived"
    assert ask("board", "restore", "points-weekly")["state"] == "filling"
    assert {board["slug"] for board in ask("board", "list")} == {"points", "points-weekly", "runs"}
    ask("settings", "set", "login_rate", "5")
    (rate,) = [setting for setting in ask("settings") if setting["name"] == "login_rate"]
    assert rate == {"name": "login_rate", "value": 5, "default": 30, "overridden": True}
    assert not any(setting["overridden"] for setting in ask("settings", "unset", "login_rate"))


def test_users_are_listed(database_url: str) -> None:
    def ask(*arguments: str) -> Any:
        return answer(*arguments, DATABASE_URL=database_url)

    for name in ("ada", "Adam", "bob"):
        ask("user", "create", name)
    assert [user["username"] for user in ask("user", "list")] == ["bob", "Adam", "ada"]
    assert [user["username"] for user in ask("user", "list", "--prefix", "AD", "--sort", "name")] == ["ada", "Adam"]
    assert ask("user", "list", "--sort", "score") == []
    assert ask("user", "show", "ADA")["username"] == "ada"
