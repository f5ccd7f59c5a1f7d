"""`laurels …` as an operator runs it: a process with an environment, two streams and an exit code."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PATIENCE = 120.0
LAURELS = [sys.executable, "-m", "laurels.cli"]
QUIET = {"LAURELS_SNAPSHOT_SECONDS": "0", "LAURELS_LOGIN_RATE": "10000", "LAURELS_USER_RATE": "100000"}


def environment(**settings: object) -> dict[str, str]:
    """This process's own, without its settings, and with those given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LAURELS_", "DATABASE_URL"))}
    return kept | {name: str(value) for name, value in settings.items()}


def laurels(*arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [*LAURELS, *arguments],
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def answer(*arguments: str, **settings: object) -> Any:
    """Run a command that must succeed with --json, and return what it prints."""
    done = laurels(*arguments, "--json", **settings)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def until(told: Callable[[], Any], what: str) -> Any:
    """Call `told` until its result is true, and return that."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if result := told():
            return result
        time.sleep(0.01)
    raise AssertionError(f"in vain: {what}")


def server_of(data: Path) -> int | None:
    """The PostgreSQL that runs on a data folder, by looking at all processes."""
    cluster = os.fsencode(data / "postgres")
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if words[0].endswith(b"/postgres") and cluster in words:
                return int(entry.name)
    return None


class Served:
    """A `laurels serve` off a terminal. `log` is its standard error, `said` its standard output."""

    def __init__(self, data: Path, **settings: object) -> None:
        self._out, self._err = data.with_suffix(".out"), data.with_suffix(".err")
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [*LAURELS, "serve"],
                env=environment(**{"LAURELS_DATA": data, "LAURELS_PORT": 0, **QUIET, **settings}),
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self._out.read_text()

    @property
    def log(self) -> str:
        return self._err.read_text()

    @property
    def url(self) -> str:
        """Known as soon as the node is ready."""

        def found() -> re.Match[str] | None:
            assert self.process.poll() is None, self.log
            return re.search(r'"message":"live".*"url":"(http://[^"]+?)/"', self.log)

        return until(found, "the node says where it is")[1]

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal the process and wait; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=PATIENCE)

    def interrupt(self) -> None:
        """Ctrl-C as a terminal does it: to the whole foreground process group."""
        os.killpg(self.process.pid, signal.SIGINT)


@contextlib.contextmanager
def serving(data: Path, **settings: object) -> Iterator[Served]:
    """A node on its own PostgreSQL; what is left of both is killed in the end."""
    served = Served(data, **settings)
    try:
        assert served.url
        yield served
    finally:
        sweep(served, data)


def sweep(served: Served, data: Path) -> None:
    if served.process.poll() is None:
        served.process.kill()
        served.process.wait()
    if (pid := server_of(data)) is not None:
        os.kill(pid, signal.SIGQUIT)
