"""Output arrives whole however slowly it is read; a reader that goes away ends it without a message."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shlex
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Sequence
from pathlib import Path

import asyncpg
import pytest
from tests.support.node import InProcessNode

from .commands import LAURELS, PATIENCE, environment, until

USERS = 3_000
COMMANDS = {
    "JSON": ("user", "list", "--limit", str(USERS), "--json"),
    "a table": ("user", "list", "--limit", str(USERS)),
    "CSV": ("export", "users", "--format", "csv"),
    "a document": ("openapi",),
}
PIPE = 65_536
LONG = 700_000
_PRINTS = f"""
import asyncio, signal, sys
from laurels.cli import streams
from laurels.event_loop import Loop
streams.write_completely()
{{}}
sys.stdout.write("x" * {LONG})
sys.stdout.flush()
signal.setitimer(signal.ITIMER_REAL, 0)
"""
_AFTER_A_LOOP = """
with asyncio.Runner(loop_factory={}) as runner:
    runner.run(asyncio.sleep(0))
"""
_AMONG_SIGNALS = """
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
"""
PARTIAL = {
    "after uvloop": _PRINTS.format(_AFTER_A_LOOP.format("Loop")),
    "after asyncio": _PRINTS.format(_AFTER_A_LOOP.format("asyncio.new_event_loop")),
    "among signals": _PRINTS.format(_AMONG_SIGNALS),
}


@pytest.fixture
async def crowded(database_url: str) -> str:
    """A ledger whose lists are longer than a pipe."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "INSERT INTO users (username, username_fold, username_skeleton) "
        f"SELECT 'user-' || n, 'user-' || n, 'user-' || n FROM generate_series(1, {USERS}) n"
    )
    await connection.close()
    return database_url


@contextlib.contextmanager
def started(*command: str, blocking: bool = True, **settings: object) -> Iterator[subprocess.Popen[bytes]]:
    """With pipes, and PYTHONUNBUFFERED as containers set it: else Python itself repeats a write that was partial."""
    reading, writing = os.pipe()
    os.set_blocking(writing, blocking)
    process = subprocess.Popen(
        command,
        env=environment(**settings) | {"PYTHONUNBUFFERED": "1"},
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    os.close(writing)
    process.stdout = open(reading, "rb")  # noqa: PTH123, SIM115  a descriptor, which Popen closes
    with process:
        yield process
        process.kill()


def ran(url: str, out: Path, program: Sequence[str], arguments: Sequence[str]) -> tuple[int, str]:
    """Exit code and standard error of a command whose standard output is a file."""
    with out.open("wb") as stream:
        done = subprocess.run(
            [*program, *arguments],
            env=environment(DATABASE_URL=url),
            stdout=stream,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    return done.returncode, done.stderr


def read_late(process: subprocess.Popen[bytes]) -> bytes:
    """Everything that the process prints, read once it has to wait for its reader."""
    assert process.stdout is not None
    pipe = process.stdout.fileno()
    until(lambda: unread(pipe) >= PIPE // 2 or process.poll() is not None, "the pipe fills")
    printed, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    return printed


def unread(pipe: int) -> int:
    return int(struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0])


@pytest.mark.parametrize("what", COMMANDS)
async def test_a_slow_reader_gets_everything(crowded: str, what: str, tmp_path: Path) -> None:
    """Also through a pipe that another process left in non-blocking mode: both print what a file holds."""
    file = tmp_path / "whole"
    assert ran(crowded, file, LAURELS, COMMANDS[what])[0] == 0
    whole = file.read_bytes()
    assert len(whole) > 2 * PIPE
    for blocking in (True, False):
        with started(*LAURELS, *COMMANDS[what], blocking=blocking, DATABASE_URL=crowded) as process:
            assert await asyncio.to_thread(read_late, process) == whole


@pytest.mark.parametrize("script", PARTIAL)
def test_a_write_that_was_partial_is_completed(script: str) -> None:
    """A signal, or the rings of a closed event loop, end a write early; the rest follows."""
    for _ in range(4):
        with started(sys.executable, "-c", PARTIAL[script]) as process:
            assert len(read_late(process)) == LONG


@pytest.mark.parametrize("what", [*COMMANDS, "help"])
async def test_a_reader_that_leaves_ends_it_quietly(crowded: str, what: str) -> None:
    """With 128 + SIGPIPE, as a shell shows it of other programs, and nothing on standard error."""
    with started(*LAURELS, *COMMANDS.get(what, ("--help",)), DATABASE_URL=crowded) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        errors = await asyncio.to_thread(process.stderr.read)
        assert (process.wait(PATIENCE), errors) == (128 + signal.SIGPIPE, b"")


async def test_the_demo_ends_when_its_reader_leaves(node: InProcessNode) -> None:
    """It prints while its event loop runs, from tasks in a group."""
    game = ("demo", "--url", node.url, "--seconds", "600", "--people", "3")
    with started(*LAURELS, *game) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        errors = await asyncio.to_thread(process.stderr.read)
        assert (process.wait(PATIENCE), errors) == (128 + signal.SIGPIPE, b"")


@pytest.mark.parametrize("what", COMMANDS)
async def test_a_full_disk_is_one_line(crowded: str, what: str) -> None:
    """Standard output that can't be written is exit code 2, also when the text waits in a buffer until the end."""
    full = ran(crowded, Path("/dev/full"), LAURELS, COMMANDS[what])
    assert full == (2, "laurels: can't write standard output: No space left on device\n")


def test_closed_streams_do_no_harm(database_url: str) -> None:
    """Descriptors 0 to 2 do not become sockets, on which libuv would abort."""
    words = shlex.join([*LAURELS, "user", "list", "--json"])
    for closed in (">&-", "2>&-", "<&- >&- 2>&-"):
        assert ran(database_url, Path(os.devnull), ["/bin/sh", "-c"], [f"{words} {closed}"])[0] == 0, closed
