"""A PostgreSQL server of our own under a data folder, for laptops and tests.

It listens only on a Unix socket inside a private folder. Three file locks, which the kernel drops with their holder
however it dies, decide which process may do what:

    laurels.lock    held by the one `laurels serve` that owns the folder
    postgres.users  shared by all that use the server; the last to leave stops it
    postgres.gate   held while starting or stopping it

A server whose users were all killed goes on as an orphan; the next user joins it, and stops it in the end.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ..db.pool import DatabaseUnusable
from . import postgres_binaries
from .folder_lock import FolderLock
from .postgres_binaries import VERSION

__all__ = ["VERSION", "EmbeddedPostgres"]

START_TIMEOUT = 120.0
"""Seconds; after a crash the server replays its log first."""
STOP_TIMEOUT = 20.0
GATE_TIMEOUT = START_TIMEOUT + STOP_TIMEOUT
POLL = 0.01
PORT = 5432
SOCKET_PATH_BYTES = 100
"""Longer paths of Unix sockets are refused by some systems (Linux takes 107, macOS 103)."""
LOG_BYTES = 16 * 1024 * 1024

_SETTINGS = """\
# Written by Laurels at every start; put your own settings into postgresql.auto.conf (ALTER SYSTEM).
listen_addresses = ''
port = {port}
unix_socket_directories = '{sockets}'
unix_socket_permissions = 0700
max_connections = 60
shared_buffers = '128MB'
wal_compression = on
max_wal_size = '2GB'
checkpoint_timeout = '15min'
"""


@dataclass(frozen=True, slots=True)
class _Postmaster:
    """Contents of postmaster.pid of the running server."""

    pid: int
    sockets: str
    port: int
    ready: bool


class EmbeddedPostgres:
    """The server under `folder`/postgres. Blocking calls: run them in a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._cluster = self._folder / "postgres"
        self._owner = FolderLock(self._folder / "laurels.lock")
        self._users = FolderLock(self._folder / "postgres.users")
        self._gate = FolderLock(self._folder / "postgres.gate")
        self._process: subprocess.Popen[bytes] | None = None
        self._one_at_a_time = threading.Lock()
        self._stopped = False

    @property
    def log_file(self) -> Path:
        return self._cluster / "log"

    def start(self, *, own: bool, create: bool = True) -> str:
        """Start or join the server and return its address.

        `own` claims the folder for this process; `create` creates a ledger if there is none. Raises DatabaseUnusable
        when there is none, another process claimed the folder, its PostgreSQL version differs, or the server does not
        come up.
        """
        with self._one_at_a_time:
            try:
                return self._start(own, create)
            except OSError as error:
                raise DatabaseUnusable(f"can't use the data folder {self._folder}: {_reason(error)}") from error
            except subprocess.SubprocessError as error:
                raise DatabaseUnusable(f"the embedded PostgreSQL did not start: {error}") from error

    def stop(self) -> None:
        """Leave the server, stop it if no other process uses it, and release the folder.

        Safe in any state; a start in progress in another thread is given up.
        """
        self._stopped = True
        with self._one_at_a_time:
            if self._users.held:
                with self._through_the_gate():
                    if self._users.acquire():
                        self._stop_server()
                    elif self._process is not None:
                        _reap_later(self._process)
                    self._users.release()
            self._owner.release()

    def _start(self, own: bool, create: bool) -> str:
        self._check_folder(create)
        postgres_binaries.check_server_user(self._cluster)
        if own and not self._owner.acquire():
            raise DatabaseUnusable(f"another `laurels serve` runs on {self._folder}: stop it, or set LAURELS_DATA")
        with self._through_the_gate():
            self._users.acquire(shared=True, wait=GATE_TIMEOUT)
            if not self._cluster.exists():
                self._initialise()
            return _address(self._bring_up())

    def _check_folder(self, create: bool) -> None:
        if self._folder.is_file():
            raise DatabaseUnusable(f"can't use the data folder {self._folder}: it is a file")
        if not create and not self._cluster.exists():
            raise DatabaseUnusable(
                f"no ledger under {self._folder}: go to the node's folder, or set LAURELS_DATA or DATABASE_URL"
            )
        self._folder.mkdir(parents=True, exist_ok=True)
        self._folder = self._folder.resolve()
        self._cluster = self._folder / "postgres"
        if not self._cluster.exists():
            return
        if not (marker := self._cluster / "PG_VERSION").exists():
            raise DatabaseUnusable(f"{self._cluster} holds no PostgreSQL data: move it away, or set LAURELS_DATA")
        if (found := marker.read_text().strip()) != str(VERSION):
            raise DatabaseUnusable(
                f"{self._cluster} holds data of PostgreSQL {found}, this Laurels runs {VERSION}: dump and restore "
                "it, or point LAURELS_DATA at another folder"
            )

    @contextlib.contextmanager
    def _through_the_gate(self) -> Iterator[None]:
        if not self._gate.acquire(wait=GATE_TIMEOUT):
            raise DatabaseUnusable(f"another process has been starting or stopping {self._cluster} for too long")
        try:
            yield
        finally:
            self._gate.release()

    def _initialise(self) -> None:
        """Create the cluster beside its place, then rename it, so that a crash leaves nothing half done."""
        for leftover in self._folder.glob("postgres.new-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        fresh = self._folder / f"postgres.new-{os.getpid()}"
        try:
            postgres_binaries.initialise(fresh, lambda: self._stopped)
        except DatabaseUnusable:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        with (fresh / "postgresql.conf").open("a") as file:
            file.write("\ninclude 'laurels.conf'\n")
        fresh.rename(self._cluster)

    def _bring_up(self) -> _Postmaster:
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if self._stopped:
                raise DatabaseUnusable("the start was given up")
            running = self._running()
            if running is not None and running.ready:
                return running
            if running is None and self._process is None:
                self._launch()
            elif self._process is not None and self._process.poll() is not None:
                raise DatabaseUnusable(f"the embedded PostgreSQL did not start: {self._last_words()}")
            time.sleep(POLL)
        raise DatabaseUnusable(f"the embedded PostgreSQL was not ready in {START_TIMEOUT:.0f} s; see {self.log_file}")

    def _launch(self) -> None:
        self._remove_stale_pids()
        self._write_settings()
        if self.log_file.exists() and self.log_file.stat().st_size > LOG_BYTES:
            self.log_file.replace(self.log_file.with_suffix(".old"))
        with self.log_file.open("ab") as log_file:
            self._process = postgres_binaries.launch(self._cluster, log_file)

    def _remove_stale_pids(self) -> None:
        """Remove process ids left by a crash: they may belong to another program by now, even this one, or to a zombie.

        PostgreSQL would take them for a running server, and this class an old "ready" for the new server's. Should a
        server be running after all, the shared memory tied to the folder still prevents a second one.
        """
        for left in (self._cluster / "postmaster.pid", self._socket_folder() / f".s.PGSQL.{PORT}.lock"):
            with contextlib.suppress(FileNotFoundError):
                words = left.read_text().split()
                if not words or (words[0].isdigit() and b"postgres" not in _command(int(words[0]))):
                    left.unlink()

    def _write_settings(self) -> None:
        path = self._cluster / "laurels.conf"
        sockets = str(self._socket_folder()).replace('"', '""').replace("'", "''")
        path.write_text(_SETTINGS.format(port=PORT, sockets=f'"{sockets}"'))
        postgres_binaries.hand_to_server_user(path)

    def _socket_folder(self) -> Path:
        """Return the cluster's own folder, or an equally private temporary one where that path is too long."""
        if len(os.fsencode(self._cluster / f".s.PGSQL.{PORT}")) <= SOCKET_PATH_BYTES:
            return self._cluster
        name = hashlib.sha256(os.fsencode(self._cluster)).hexdigest()[:16]
        folder = Path(tempfile.gettempdir()) / f"laurels-{name}"
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            postgres_binaries.hand_to_server_user(folder)
        found, ours = folder.lstat(), self._cluster.stat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != ours.st_uid or found.st_mode & 0o077:
            raise DatabaseUnusable(f"{folder} is not private: remove it, or give LAURELS_DATA a shorter path")
        return folder

    def _running(self) -> _Postmaster | None:
        """Return the server on this folder, ready or not; None when there is none."""
        try:
            lines = (self._cluster / "postmaster.pid").read_text().splitlines()
            pid = int(lines[0])
        except (OSError, ValueError, IndexError):
            return None
        command = _command(pid)
        if b"postgres" not in command or os.fsencode(self._cluster) not in command:
            return None
        if len(lines) < 8:
            return _Postmaster(pid, "", 0, ready=False)
        return _Postmaster(pid, lines[4], int(lines[3]), ready=lines[7].strip() == "ready")

    def _last_words(self) -> str:
        lines = self.log_file.read_text(errors="replace").splitlines()
        fatal = [line.split("FATAL:")[-1].strip() for line in lines if "FATAL:" in line]
        return f"{fatal[-1] if fatal else 'no reason given'} (see {self.log_file})"

    def _stop_server(self) -> None:
        """Stop the server: fast shutdown; if that takes too long, the immediate one, which costs a replay, not data."""
        for number, patience in ((signal.SIGINT, STOP_TIMEOUT), (signal.SIGQUIT, STOP_TIMEOUT)):
            running = self._running()
            if running is None:
                break
            os.kill(running.pid, number)
            if self._ended(running.pid, patience):
                break
        if self._process is not None:
            try:
                self._process.wait(timeout=1)
            except subprocess.TimeoutExpired:
                _reap_later(self._process)
            self._process = None

    def _ended(self, pid: int, patience: float) -> bool:
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if self._process is not None:
                self._process.poll()
            if pid_is_gone(pid):
                return True
            time.sleep(POLL)
        return False


def _reap_later(process: subprocess.Popen[bytes]) -> None:
    """Collect the exit status of a server that others still use, when it ends: no zombie and no handle remain."""
    threading.Thread(target=process.wait, name="reap-postgres", daemon=True).start()


def pid_is_gone(pid: int) -> bool:
    """Return whether no process of this id runs; a zombie does not run."""
    return not _command(pid)


def _command(pid: int) -> bytes:
    """Return the command line of a process; empty when there is none. Linux has /proc, macOS has ps."""
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return b""
    asked = ["/bin/ps", "-o", "command=", "-p", str(pid)]
    return subprocess.run(asked, capture_output=True, check=False).stdout  # noqa: S603  constants and a number


def _address(server: _Postmaster) -> str:
    # The last two are explicit because PGSSLMODE and PGTARGETSESSIONATTRS, if set, are about another server.
    place = f"host={quote(server.sockets)}&port={server.port}"
    return f"postgresql://postgres@/postgres?{place}&sslmode=disable&target_session_attrs=any"


def _reason(error: OSError) -> str:
    path = f" ({error.filename})" if error.filename else ""
    return f"{error.strerror or error}{path}"
