"""A command in another folder than the node's finds no ledger, says so, and makes none."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from .commands import LAURELS, answer, environment, laurels


@pytest.mark.parametrize(
    "arguments",
    [
        ("user", "ban", "x"),
        ("user", "create", "ada", "--role", "admin"),
        ("user", "list"),
        ("export", "users"),
        ("verify",),
        ("snapshot",),
        ("settings",),
        ("type", "list"),
        ("api-key", "list"),
        ("review", "list"),
    ],
)
def test_a_command_makes_no_ledger(data: Path, arguments: tuple[str, ...]) -> None:
    data.mkdir()
    command = [*LAURELS, *arguments]
    done = subprocess.run(command, env=environment(), cwd=data, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    for word in (f"no ledger under {data}/data", "LAURELS_DATA", "DATABASE_URL"):
        assert word in done.stderr
    assert list(data.iterdir()) == []


def test_migrate_makes_a_ledger_for_the_other_commands(data: Path) -> None:
    assert laurels("migrate", LAURELS_DATA=data).returncode == 0
    assert answer("user", "list", LAURELS_DATA=data) == []
