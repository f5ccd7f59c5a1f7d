"""Nodes of the version before serve beside nodes of this one, on the schema of this one, while it is rolled out."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.support.polling import soon
from tests.support.server import LaurelsServer

from laurels.ledger.db import migrations

ROOT = Path(__file__).parents[2]
FOLDER = Path(migrations.__file__).parent.relative_to(ROOT)
SEARCHED = 100
"""Commits that are looked at."""
_numbers = itertools.count(1)


class NoEarlierVersion(Exception):
    """This checkout has no history to take an earlier version from."""


def git(*arguments: str) -> bytes:
    try:
        return subprocess.run(["git", "-C", ROOT, *arguments], check=True, capture_output=True).stdout  # noqa: S607
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoEarlierVersion(f"git {arguments[0]} fails here: a shallow clone, or no clone") from error


def earlier_version() -> str:
    """Return the newest commit before HEAD with migrations that the present ones begin with: its database can be ours.

    Raises NoEarlierVersion.
    """
    present = dict(migrations.scripts())
    for commit in git("rev-list", f"--max-count={SEARCHED}", "HEAD^").decode().split():
        listed = git("ls-tree", "--name-only", commit, f"{FOLDER}/").decode().split()
        names = [Path(path).name for path in listed if path.endswith(".sql")]
        if names and names == list(present)[: len(names)]:
            texts = {name: git("show", f"{commit}:{FOLDER}/{name}").decode() for name in names}
            if all(present[name] == text for name, text in texts.items()):
                return commit
    raise NoEarlierVersion("the history has no commit with the first of the present migrations")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of an earlier version, importable in this environment."""
    try:
        archive = git("archive", earlier_version(), "src", "clients/python")
    except NoEarlierVersion as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("earlier")
    subprocess.run(["tar", "--extract", "--directory", folder], input=archive, check=True)  # noqa: S607
    return folder / "src"


@pytest.fixture
async def empty_database(postgres: str) -> AsyncIterator[str]:
    name = f"rolling{next(_numbers)}"
    admin = await asyncpg.connect(postgres)
    await admin.execute(f"CREATE DATABASE {name}")
    yield postgres.replace("/postgres?", f"/{name}?")
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest.fixture
def old(source: Path, empty_database: str, tmp_path: Path) -> Iterator[LaurelsServer]:
    """A node of the earlier version. It made the schema, and samples."""
    server = LaurelsServer(empty_database, tmp_path / "old.log", PYTHONPATH=str(source))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def new(old: LaurelsServer, tmp_path: Path) -> Iterator[LaurelsServer]:
    """A node of this version, which has migrated the schema of the running one."""
    server = LaurelsServer(old.database_url, tmp_path / "new.log")
    server.start()
    yield server
    server.stop()


def test_an_old_node_serves_beside_a_new_one(source: Path, old: LaurelsServer, new: LaurelsServer) -> None:
    """Both complete actions of the same users, both show the same board, and the proof holds on both."""
    assert imported_from({"PYTHONPATH": str(source)}).is_relative_to(source)
    assert imported_from({}).is_relative_to(ROOT / "src")
    ada, grace = old.register("ada"), new.register("grace")
    for token in (ada, grace):
        for node in (old, new, old, new):
            assert node.complete(token)["rank"] in (1, 2)
    again = {"action_type": "lesson", "action_identifier": "once"}
    receipts = [node.post("/api/actions/complete", again, ada) for node in (old, new)]
    assert receipts[0]["action_id"] == receipts[1]["action_id"]
    assert [receipt["replayed"] for receipt in receipts] == [False, True]
    for node in (old, new):
        soon(partial(board, node), lambda rows: rows == [("ada", 50), ("grace", 40)], within=5.0)
        new.command("verify", "--node", node.url)


def board(node: LaurelsServer) -> list[tuple[str, int]]:
    shown: Any = node.get("/api/scoreboard")
    return [(row["username"], row["score"]) for row in shown["rows"]]


def imported_from(environment: dict[str, str]) -> Path:
    """Return where the service is imported from under this environment."""
    asks = [sys.executable, "-c", "import laurels; print(laurels.__file__)"]
    return Path(subprocess.check_output(asks, env={**os.environ, **environment}, text=True).strip())
