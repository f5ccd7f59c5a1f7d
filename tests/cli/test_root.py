"""`laurels serve` as root: PostgreSQL runs as another user, and a machine that is not prepared for it is left alone."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

import pytest

from laurels.ledger.db.pool import DatabaseUnusable
from laurels.ledger.embedded import postgres_binaries
from laurels.ledger.embedded.server import EmbeddedPostgres

from .commands import laurels

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="of root alone")
PREPARE = Path(__file__).parents[2] / "scripts" / "ensure-postgres-user"


def test_a_closed_folder_is_named_and_stays_closed(data: Path) -> None:
    """One line says which folder the server's user cannot enter, and how to open it."""
    closed = data / "closed"
    closed.mkdir(parents=True, mode=0o700)
    done = laurels("serve", LAURELS_DATA=closed / "ledger", LAURELS_PORT=0)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert f"chmod o+x {closed}" in line
    assert closed.stat().st_mode & 0o777 == 0o700


def test_a_missing_user_is_not_created(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_binaries, "USER", "laurels-absent")
    with pytest.raises(DatabaseUnusable, match=r"useradd --system .* laurels-absent"):
        EmbeddedPostgres(data).start(own=True)
    assert "laurels-absent" not in {user.pw_name for user in pwd.getpwall()}


def test_make_prepares_the_folders(data: Path, tmp_path: Path) -> None:
    """The script that `make run` calls is enough, also where new folders are private to root."""
    closed = data / "closed"
    closed.mkdir(parents=True, mode=0o700)
    ledger = closed / "ledger"
    subprocess.run([PREPARE, tmp_path / "venv", ledger], check=True, umask=0o077)
    server = EmbeddedPostgres(ledger)
    try:
        assert server.start(own=True)
    finally:
        server.stop()
