"""Refused commands: exit code 2 and exactly one line on standard error that says what to do."""

from __future__ import annotations

import hashlib
import socket
import subprocess
from pathlib import Path

import asyncpg
import pytest

from laurels.ledger.embedded.server import EmbeddedPostgres

from .commands import laurels, serving


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("laurels: ")
    assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"DATABASE_URL": "mysql://u:p@h/d"}, "postgresql://"),
        ({"DATABASE_URL": "nonsense"}, "postgresql://"),
        ({"DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/d"}, "is the server running"),
        ({"DATABASE_URL": "postgresql://u:hunter2@no.such.invalid/d"}, "is the server running"),
        ({"LAURELS_PROT": "9000"}, "LAURELS_PROT"),
        ({"LAURELS_PORT": "eighty"}, "LAURELS_PORT"),
        ({"LAURELS_HOST": "no.such.invalid"}, "LAURELS_PORT"),
        ({"LAURELS_DATA": "/etc/passwd"}, "it is a file"),
        ({"LAURELS_DATA": "/proc/nowhere"}, "can't use the data folder"),
    ],
)
def test_serve_refuses_settings_it_cannot_use(settings: dict[str, str], word: str) -> None:
    """One line that names the trouble, and no password in it."""
    done = laurels("serve", **({"LAURELS_PORT": 0} | settings))
    refused(done, word)
    assert "hunter2" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["frob"], "frob"),
        (["serve", "--port", "3"], "--port"),
        (["user", "create"], "USERNAME"),
        (["user", "role", "ada", "king"], "moderator"),
        (["demo", "--rate", "0"], "--rate"),
        (["demo", "--people", "many"], "--people"),
        (["demo", "--url", "http://127.0.0.1:1"], "make run"),
        (["demo", "--url", "http://[bad"], "not the address of a server"),
    ],
)
def test_a_command_that_makes_no_sense_is_one_line(arguments: list[str], word: str) -> None:
    """It names what was wrong; nothing was started."""
    done = laurels(*arguments)
    refused(done)
    assert word.lower() in done.stderr.lower()


def test_names_and_nodes_that_are_not_there(database_url: str) -> None:
    """An unknown user, an impossible name, a node that does not answer."""
    refused(laurels("user", "ban", "stranger", DATABASE_URL=database_url), "stranger")
    refused(laurels("user", "create", "x", DATABASE_URL=database_url), "3 to 32")
    laurels("user", "create", "root", "--role", "admin", DATABASE_URL=database_url)
    refused(laurels("verify", "--node", "http://127.0.0.1:1", DATABASE_URL=database_url), "no node answers")


def test_an_unknown_database_is_said(database_url: str) -> None:
    """With the way out: create it, or correct the name."""
    refused(laurels("migrate", DATABASE_URL=database_url.replace("/t", "/missing_t", 1)), "createdb")


async def test_a_wrong_password_and_a_missing_right_are_said(data: Path) -> None:
    """Neither shows the password, or a traceback."""
    server = EmbeddedPostgres(data)
    url = server.start(own=True)
    try:
        admin = await asyncpg.connect(url)
        await admin.execute("CREATE ROLE guest LOGIN PASSWORD 'sesame'")
        hba = data / "postgres" / "pg_hba.conf"
        hba.write_text(f"local all guest scram-sha-256\n{hba.read_text()}")
        await admin.execute("SELECT pg_reload_conf()")
        await admin.close()
        wrong = laurels("migrate", DATABASE_URL=url.replace("postgres@", "guest:hunter2@", 1))
        right = laurels("migrate", DATABASE_URL=url.replace("postgres@", "guest:sesame@", 1))
    finally:
        server.stop()
    refused(wrong, "check user and password")
    assert "hunter2" not in wrong.stderr
    refused(right, "permission denied")


def test_a_port_in_use_is_said() -> None:
    """And nothing is done to the data before the port is ours."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused(laurels("serve", LAURELS_PORT=port, LAURELS_DATA="/proc/nowhere"), str(port), "LAURELS_PORT")
        own = {"LAURELS_PORT": 0, "LAURELS_METRICS_PORT": port}
        refused(laurels("serve", LAURELS_DATA="/proc/nowhere", **own), str(port), "LAURELS_METRICS_PORT")


def test_data_of_another_version_is_left_alone(data: Path) -> None:
    """Not one byte of it changes, and nothing is added."""
    laurels("migrate", LAURELS_DATA=data)
    (data / "postgres" / "PG_VERSION").write_text("17\n")
    before = fingerprint(data)
    refused(laurels("serve", LAURELS_DATA=data, LAURELS_PORT=0), "PostgreSQL 17", "LAURELS_DATA")
    assert fingerprint(data) == before


def test_what_is_no_data_of_ours_is_left_alone(data: Path) -> None:
    """A folder that happens to be called `postgres` keeps what is in it."""
    (data / "postgres").mkdir(parents=True)
    (data / "postgres" / "thesis.txt").write_text("years of work")
    refused(laurels("serve", LAURELS_DATA=data, LAURELS_PORT=0), "move it away")
    assert [path.name for path in data.rglob("*")] == ["postgres", "thesis.txt"]


def test_a_second_node_on_the_same_data_is_refused(data: Path) -> None:
    """Two nodes on one embedded server would each take it for theirs."""
    with serving(data) as served:
        refused(laurels("serve", LAURELS_DATA=data, LAURELS_PORT=0), "another `laurels serve`")
        assert served.process.poll() is None


def fingerprint(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
