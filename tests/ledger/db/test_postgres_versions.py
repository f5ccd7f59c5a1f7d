"""The way of one action on every PostgreSQL that can be had here, from 15 on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.node import running_node

from laurels.config import Settings
from laurels.ledger.embedded.postgres_binaries import hand_to_server_user, programs

pytestmark = pytest.mark.slow


def _installations() -> dict[str, Path]:
    """Version -> folder of its binaries: those of the wheel and those of Debian's packages."""
    found = {"16": programs().parent.parent / "pginstall" / "bin", "18": programs()}
    for folder in Path("/usr/lib/postgresql").glob("*/bin"):
        found.setdefault(folder.parent.name, folder)
    return {version: found[version] for version in sorted(found)}


@pytest.fixture(params=list(_installations()))
def server_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A server of one version on a Unix socket."""
    binaries, data = _installations()[request.param], tmp_path / "data"
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(0o755)
    data.mkdir()
    prefix: list[str] = []
    if os.geteuid() == 0:
        hand_to_server_user(data)
        prefix = ["runuser", "-u", "pgserver", "--"]
    run = [*prefix, str(binaries / "initdb"), "-A", "trust", "-U", "postgres", "-D", str(data)]
    subprocess.run(run, check=True, capture_output=True)
    control = [*prefix, str(binaries / "pg_ctl"), "-D", str(data), "-w"]
    options = f"-k {data} -c listen_addresses=''"
    subprocess.run([*control, "-o", options, "-l", str(data / "log"), "start"], check=True, capture_output=True)
    yield f"postgresql://postgres:@/postgres?host={data}"
    subprocess.run([*control, "-m", "fast", "stop"], check=True, capture_output=True)


async def test_an_action_goes_all_the_way(server_url: str) -> None:
    """Migrated from nothing, awarded, replayed, ranked and on the board."""
    settings = Settings(database_url=server_url, port=0, snapshot_seconds=0, verify_seconds=0)
    async with running_node(settings) as node:
        token = await node.token("ada")
        assert (await node.complete(token, "a"))[0] == 201
        assert (await node.complete(token, "a"))[0] == 200
        _, board = await node.get("/api/scoreboard")
        assert [(row["rank"], row["username"], row["score"]) for row in board["rows"]] == [(1, "ada", 10)]
