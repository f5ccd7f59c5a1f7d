"""Processes that outlive the command that started them, and are reliably found again.

A process is recorded by its id and its creation time, because the system reuses ids. Each
part leads its own session, so that its children are found even if it died before them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import psutil

GONE = (psutil.NoSuchProcess, psutil.ZombieProcess, ProcessLookupError)


def launch(
    command: Sequence[str], *, user: str | None, log: Path, pid_file: Path, environment: Mapping[str, str], folder: Path
) -> None:
    """Start `command` detached, with its output in `log`, and record it in `pid_file`."""
    with log.open("ab") as stream:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            cwd=folder,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", **environment},
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=[] if user else None,
        )
    process.returncode = 0  # it outlives us: its object must not warn that it was not waited for
    remembered = psutil.Process(process.pid)
    pid_file.write_text(f"{process.pid} {remembered.create_time()}")


def leader(pid_file: Path) -> psutil.Process | None:
    """Return the process that was launched, if it is still alive."""
    remembered = _remembered(pid_file)
    if remembered is None:
        return None
    with contextlib.suppress(*GONE):
        process = psutil.Process(remembered[0])
        if process.create_time() == remembered[1] and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None


def family(pid_file: Path, strays: Iterable[int] = ()) -> list[psutil.Process]:
    """Return every process of a part: its session, its descendants, and `strays` that left both, with theirs."""
    remembered = _remembered(pid_file)
    roots = list(strays)
    # A session has the id of its first leader. It is not reused while a member is alive, even if the leader died.
    if remembered is not None and (leader(pid_file) is not None or not psutil.pid_exists(remembered[0])):
        roots += _session(remembered[0])
    found: dict[int, psutil.Process] = {}
    for pid in roots:
        with contextlib.suppress(*GONE):
            process = psutil.Process(pid)
            found[pid] = process
            found |= {child.pid: child for child in process.children(recursive=True)}
    return list(found.values())


def memory(processes: Iterable[psutil.Process]) -> int:
    """Return the memory in bytes, with shared pages divided among their users (PSS) where the system supports it."""
    total = 0
    for process in processes:
        with contextlib.suppress(*GONE):
            try:
                total += process.memory_full_info().pss
            except (psutil.AccessDenied, AttributeError):
                total += process.memory_info().rss
    return total


def send(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(*GONE):
            process.send_signal(number)


def kill(processes: Sequence[psutil.Process], patience: float) -> None:
    """Send SIGKILL to all at once, so that no parent restarts a child, and wait until they are gone."""
    send(processes, signal.SIGSTOP)
    send(processes, signal.SIGKILL)
    psutil.wait_procs(processes, timeout=patience)


def _remembered(pid_file: Path) -> tuple[int, float] | None:
    with contextlib.suppress(OSError, ValueError):
        pid, created = pid_file.read_text().split()
        return int(pid), float(created)
    return None


def _session(leader_pid: int) -> list[int]:
    members = []
    for pid in psutil.pids():
        with contextlib.suppress(OSError):
            if os.getsid(pid) == leader_pid:
                members.append(pid)
    return members
