"""A PostgreSQL that can be killed, paused and brought back, and a standby that streams from it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psutil

from laurels.ledger.embedded import postgres_binaries
from laurels.ledger.embedded.server import EmbeddedPostgres

PATIENCE = 120.0
_LOCAL = "host={sockets} port=5432 user=postgres"


class Cluster:
    """One server on a folder. `url` names its database `postgres`; `database(name)` another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._embedded = EmbeddedPostgres(folder)
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    @property
    def data(self) -> Path:
        return self.folder / "postgres"

    def database(self, name: str) -> str:
        return self.url.replace("/postgres?", f"/{name}?")

    def start(self) -> None:
        """The first time, and after a kill."""
        self.url = self._embedded.start(own=True)

    def stop(self) -> None:
        self.resume()
        self._embedded.stop()

    def kill(self) -> None:
        """SIGKILL to all of its processes, as when a machine loses power."""
        self._signal(signal.SIGKILL)
        self._embedded.stop()
        self._embedded = EmbeddedPostgres(self.folder)

    def pause(self) -> None:
        """It holds its connections and answers nothing, as behind a network that is cut."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        if number == signal.SIGKILL:
            psutil.wait_procs(self._processes(), timeout=20)

    def _processes(self) -> list[psutil.Process]:
        try:
            first = psutil.Process(int((self.data / "postmaster.pid").read_text().split()[0]))
            return [first, *first.children(recursive=True)]
        except (OSError, psutil.NoSuchProcess):
            return []


class Standby(Cluster):
    """A streaming copy of `primary`."""

    def __init__(self, primary: Cluster, folder: Path) -> None:
        super().__init__(folder)
        self._primary = primary

    def start(self) -> None:
        """Copy the primary the first time; then follow it."""
        if not self.data.exists():
            self._copy()
        for left in ("postmaster.pid", ".s.PGSQL.5432.lock"):  # copied, or of a server that was killed
            (self.data / left).unlink(missing_ok=True)
        with (self.data / "log").open("ab") as log:
            self._process = postgres_binaries.launch(self.data, log)
        self.url = f"postgresql://postgres@/postgres?host={quote(str(self.data))}&port=5432"
        self.sql("SELECT 1")

    def stop(self) -> None:
        self.kill()

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(timeout=PATIENCE)

    def lag(self) -> None:
        """Receive, but replay nothing: the copy grows old."""
        self.sql("SELECT pg_wal_replay_pause()")

    def go_on(self) -> None:
        self.sql("SELECT pg_wal_replay_resume()")

    def sql(self, statement: str) -> str:
        """Run a statement as soon as the server takes it."""
        deadline = time.monotonic() + PATIENCE
        while True:
            done = subprocess.run(
                [postgres_binaries.programs() / "psql", "-XAtc", statement, self.url],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode == 0:
                return done.stdout.strip()
            assert time.monotonic() < deadline, done.stderr
            time.sleep(0.05)

    def _copy(self) -> None:
        source = _LOCAL.format(sockets=self._primary.data)
        self.folder.mkdir(exist_ok=True)
        subprocess.run(
            [
                postgres_binaries.programs() / "pg_basebackup",
                "-D",
                self.data,
                "-d",
                source,
                "-R",
                "-c",
                "fast",
                "-X",
                "stream",
            ],
            check=True,
            capture_output=True,
        )
        # Last in line, so it wins over what was copied.
        with (self.data / "postgresql.auto.conf").open("a") as file:
            file.write(f"unix_socket_directories = '\"{self.data}\"'\n")
            file.write("wal_retrieve_retry_interval = '200ms'\n")  # else it comes back to its primary after 5 s
        self.data.chmod(0o700)
        for folder, _, files in os.walk(self.data):
            postgres_binaries.hand_to_server_user(Path(folder))
            for name in files:
                postgres_binaries.hand_to_server_user(Path(folder) / name)


@contextlib.contextmanager
def primary_and_standby() -> Iterator[tuple[Cluster, Standby]]:
    """Both started, in a folder of their own: pytest closes its folders to the servers' user whenever a run begins."""
    folder = Path(tempfile.mkdtemp(prefix="laurels-pg-"))
    folder.chmod(0o755)
    primary = Cluster(folder / "a")
    standby = Standby(primary, folder / "b")
    try:
        primary.start()
        standby.start()
        yield primary, standby
    finally:
        standby.stop()
        primary.stop()
        shutil.rmtree(folder, ignore_errors=True)
