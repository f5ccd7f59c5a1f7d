"""Supervise `laurels serve --workers N`: N processes on one port, and a supervisor that serves no requests.

The kernel spreads connections over the workers (SO_REUSEPORT). The first worker starts alone: it migrates and creates
the first admin. A worker that dies is restarted after a pause that doubles while it keeps dying young; one that can't
start as configured stops them all. Each worker's standard input is a socket to the supervisor: the worker writes to it
when it is ready, and drains and stops when it reads the end of it, that is, when the supervisor has died.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import structlog

from .concurrency.backoff import Backoff
from .config import Settings
from .event_loop import stopped_by_signals
from .runtime import DRAIN_SECONDS, bind
from .start_errors import StartError

log = structlog.get_logger(__name__)

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
STEADY_SECONDS = 60.0
"""A worker that ran for so long restarts after the first pause again."""
STOP_SECONDS = DRAIN_SECONDS + 10.0
"""Time for a worker to stop before it is killed."""
CONFIGURATION = 2
"""Exit code of a worker that can't start as configured: a restart would not help."""


@dataclass(slots=True)
class _Worker:
    """One worker. `port` is its own, for health checks and metrics.

    A scrape of the shared port would reach another worker each time, and counters would jump.
    """

    number: int
    port: int
    ready: asyncio.Event = field(default_factory=asyncio.Event)


async def supervise(settings: Settings) -> None:
    """Run the workers until SIGINT or SIGTERM. Raises StartError when one can't start as configured."""
    stopping = asyncio.Event()
    with stopped_by_signals(stopping):
        await _supervise(settings, stopping)


async def _supervise(settings: Settings, stopping: asyncio.Event) -> None:
    # Bound but not listening: it reserves the port for workers that restart, and gets no connection.
    with bind(settings.host, settings.port, shared=True, listen=False) as held:
        port = held.getsockname()[1]
        first = settings.metrics_port or port + 1
        workers = [_Worker(number, first + number) for number in range(settings.workers)]
        await _run(settings, port, workers, stopping)
    log.info("all workers stopped")


async def _run(settings: Settings, port: int, workers: list[_Worker], stopping: asyncio.Event) -> None:
    """Start the first worker, the others once it is ready, and return when all have ended."""

    def keep(worker: _Worker) -> asyncio.Task[None]:
        return asyncio.create_task(_keep(settings, port, worker, stopping), name=f"worker-{worker.number}")

    first, *others = workers
    keepers = [keep(first)]
    try:
        await _first_of(first.ready.wait(), stopping.wait(), ended=keepers[0])
        if first.ready.is_set():
            keepers += map(keep, others)
        await asyncio.wait(keepers, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        # Stopped, not cancelled: a worker first answers the requests that have arrived.
        stopping.set()
        await asyncio.wait(keepers)
    _raise_failures(keepers)


def _raise_failures(keepers: list[asyncio.Task[None]]) -> None:
    failures = [error for keeper in keepers if (error := keeper.exception()) is not None]
    if len(failures) > 1:
        raise BaseExceptionGroup("workers failed", failures)
    if failures:
        raise failures[0]


async def _keep(settings: Settings, port: int, worker: _Worker, stopping: asyncio.Event) -> None:
    """Run one worker and restart it whenever it dies. Raises StartError when that would not help."""
    loop = asyncio.get_running_loop()
    backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
    while not stopping.is_set():
        started = loop.time()
        code = await _run_once(settings, port, worker, stopping)
        if stopping.is_set():
            return
        if not worker.ready.is_set() and code == CONFIGURATION:
            raise StartError("a worker can't start: see its message above")
        if loop.time() - started > STEADY_SECONDS:
            backoff.reset()
        pause = backoff.next_pause()
        log.error("worker died and will be restarted", worker=worker.number, code=code, seconds=pause)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await stopping.wait()


async def _run_once(settings: Settings, port: int, worker: _Worker, stopping: asyncio.Event) -> int | None:
    """Run a worker until it ends or all stop; return its exit code, None when no process could be started."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        try:
            process = await _start(settings, port, worker, theirs)
        except OSError as error:
            log.error("can't start a process for a worker", worker=worker.number, reason=str(error))
            return None
        theirs.close()
        announced = asyncio.create_task(_until_ready(settings, worker, process.pid, ours))
        try:
            await _first_of(process.wait(), stopping.wait())
            return await _stop(process)
        finally:
            await _reap(process)
            announced.cancel()
            await asyncio.wait({announced})  # it reads from the socket that is closed next


async def _start(settings: Settings, port: int, worker: _Worker, stdin: socket.socket) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "laurels.cli",
        "serve",
        "--worker",
        env=_environment(settings, port, worker),
        stdin=stdin.fileno(),
        start_new_session=True,  # Ctrl-C reaches only the supervisor, which stops the workers in order
    )


async def _stop(process: asyncio.subprocess.Process) -> int:
    """Ask a worker to stop, and kill it when it does not; return its exit code, also when it has ended by itself."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            return await process.wait()
    except TimeoutError:
        log.error("worker did not stop and was killed", pid=process.pid)
        await _reap(process)
        return await process.wait()


async def _reap(process: asyncio.subprocess.Process) -> None:
    """Kill a worker that still runs, and wait for its end."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _until_ready(settings: Settings, worker: _Worker, pid: int, pipe: socket.socket) -> None:
    """Wait until the worker reports that it is ready.

    A request to its port would not prove it: another program may answer there.
    """
    try:
        message = await asyncio.get_running_loop().sock_recv(pipe, 64)
    except ConnectionError:
        message = b""
    if message:
        worker.ready.set()
        log.info("worker is ready", worker=worker.number, pid=pid, metrics=f"{settings.host}:{worker.port}/metrics")


def _environment(settings: Settings, port: int, worker: _Worker) -> dict[str, str]:
    own = {
        "LAURELS_PORT": str(port),
        "LAURELS_METRICS_PORT": str(worker.port),
        "LAURELS_WORKERS": str(settings.workers),
        "LAURELS_ROLE": settings.role,
    }
    return {name: value for name, value in os.environ.items() if name.removesuffix("_FILE") not in own} | own


async def _first_of(*waits: Coroutine[Any, Any, Any], ended: asyncio.Task[None] | None = None) -> None:
    """Return when one of `waits` or the task `ended` is done; cancel the other waits."""
    waiters = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait([*waiters, ended] if ended else waiters, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiter in waiters:
            waiter.cancel()
