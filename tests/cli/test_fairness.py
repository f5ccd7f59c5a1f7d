"""Reviews, reversals, adjustments and erasure from the command line."""

from __future__ import annotations

from typing import Any

import pytest
from tests.ledger.conftest import running_ledger

from laurels.cli import app
from laurels.domain.actions import Submission
from laurels.ledger.db.pool import Pool

from .commands import answer, laurels

COMMANDS = [
    "review list",
    "review approve",
    "review reject",
    "action reverse",
    "user adjust",
    "user ledger",
    "user erase",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    app([*command.split(), "--help"], result_action="return_value")
    assert "Example" in capsys.readouterr().out


async def test_a_score_is_adjusted_undone_and_explained(pool: Pool, database_url: str) -> None:
    def ask(*arguments: str) -> Any:
        return answer(*arguments, DATABASE_URL=database_url)

    ask("user", "create", "ada")
    async with running_ledger(pool) as ledger:
        await ledger.writer.submit([Submission(1, "lesson", "a-1")])
    assert ask("user", "adjust", "ada", "-4", "--reason", "too many", "--identifier", "x")["new_score"] == 6
    assert ask("user", "adjust", "ada", "-4", "--reason", "too many", "--identifier", "x")["replayed"]
    assert ask("action", "reverse", "1", "--reason", "forged")["new_score"] == -4
    ledger_of = ask("user", "ledger", "ada")
    assert (ledger_of["score"], ledger_of["total"]) == (-4, -4)
    assert [row["kind"] for row in ledger_of["rows"]] == ["reversal", "adjustment", "completion"]
    assert "undone by" in laurels("user", "ledger", "ada", DATABASE_URL=database_url).stdout
    assert ask("review", "list") == []
    assert ask("verify")["clean"]


def test_what_can_not_be_undone_is_asked_for(database_url: str) -> None:
    """Without a terminal to ask on it is refused; --yes says it in advance."""
    answer("user", "create", "ada", DATABASE_URL=database_url)
    refused = laurels("user", "erase", "ada", DATABASE_URL=database_url)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--yes" in refused.stderr
    assert answer("user", "show", "ada", DATABASE_URL=database_url)["username"] == "ada"
    answer("user", "erase", "ada", "--yes", DATABASE_URL=database_url)
    assert laurels("user", "show", "ada", DATABASE_URL=database_url).returncode == 2
