"""A real PgBouncer before a test's database."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from laurels.ledger.embedded import postgres_binaries

from .ports import free_port

START_SECONDS = 60.0
PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
IGNORED = (
    "extra_float_digits,statement_timeout,lock_timeout,idle_in_transaction_session_timeout,jit,search_path,options"
)
"""What its users have it ignore, so that clients connect at all."""

needs_pgbouncer = pytest.mark.skipif(PROGRAM is None, reason="PgBouncer is not installed: scripts/ensure-pgbouncer")

_CONFIGURATION = """\
[databases]
* = host={sockets} port=5432 user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = 10
server_round_robin = {round_robin}
ignore_startup_parameters = {ignored}
"""


class PgBouncer:
    """One process on a port of its own; `url` is the address of the same database through it."""

    def __init__(self, database_url: str, folder: Path, *, ignored: str = IGNORED, round_robin: bool = False) -> None:
        parts = urlsplit(database_url)
        self._sockets = parse_qs(parts.query)["host"][0]
        self._port = free_port()
        self._folder = folder
        self._ignored = ignored
        self._round_robin = round_robin
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql://postgres@127.0.0.1:{self._port}{parts.path}"

    def start(self, mode: str) -> None:
        """As PostgreSQL's user where the tests run as root: it refuses root, and only that user reaches the server."""
        file, log = self._folder / "pgbouncer.ini", self._folder / "log"
        file.write_text(
            _CONFIGURATION.format(
                sockets=self._sockets,
                port=self._port,
                mode=mode,
                ignored=self._ignored,
                round_robin=int(self._round_robin),
            )
        )
        user = postgres_binaries.USER if os.geteuid() == 0 else None
        groups: list[str] | None = [] if user else None
        with log.open("wb") as stream:
            assert PROGRAM is not None
            self._process = subprocess.Popen(
                [PROGRAM, file], stdout=stream, stderr=stream, user=user, group=user, extra_groups=groups
            )
        self._wait_until_it_listens(self._process, log)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(START_SECONDS)
            self._process = None

    def _wait_until_it_listens(self, process: subprocess.Popen[bytes], log: Path) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", self._port), 5):
                return
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)


@contextlib.contextmanager
def pooler(database_url: str, mode: str, *, ignored: str = IGNORED, round_robin: bool = False) -> Iterator[PgBouncer]:
    """Start one before a database, and stop it."""
    with tempfile.TemporaryDirectory(prefix="laurels-pgbouncer-") as folder:
        Path(folder).chmod(0o755)
        bouncer = PgBouncer(database_url, Path(folder), ignored=ignored, round_robin=round_robin)
        try:
            bouncer.start(mode)
            yield bouncer
        finally:
            bouncer.stop()
