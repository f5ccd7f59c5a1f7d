"""`laurels serve --workers N`: N processes on one port, started, watched and stopped by one that serves nothing.

The port is shared by SO_REUSEPORT: the kernel spreads connections over the workers. The first worker starts alone
(it migrates and makes the first admin), then the others at once. One that dies is started again, after a pause that
doubles while it keeps dying young. Each worker hangs on a pipe to this process: when this one dies,
however it dies, the workers read the end of it, drain and stop.

A worker answers /livez, /readyz and /metrics on a port of its own too: a scrape of the shared port would reach another
worker every time, and counters would jump.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from dataclasses import dataclass, field

import structlog

from .config import Settings
from .event_loop import stopped_by_signals
from .runtime import DRAIN_SECONDS, StartError, bind

log = structlog.get_logger(__name__)

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
STEADY_SECONDS = 60.0
"""A worker that lived so long starts again without a longer pause."""
START_SECONDS = 120.0
STOP_SECONDS = DRAIN_SECONDS + 10.0
"""Then a worker that does not stop is killed."""
POLL = 0.05
CONFIGURATION = 2
"""Exit code of a worker that can't start as it is configured: starting it again would not help."""


@dataclass(slots=True)
class _Worker:
    """`port` is its own: health and metrics."""

    number: int
    port: int
    ready: asyncio.Event = field(default_factory=asyncio.Event)


async def supervise(settings: Settings) -> None:
    """Run the workers until SIGINT or SIGTERM. Raises StartError when the first one can't start."""
    stopping = asyncio.Event()
    with stopped_by_signals(stopping):
        await _supervise(settings, stopping)


async def _supervise(settings: Settings, stopping: asyncio.Event) -> None:
    # Bound, never listening: it keeps the port for workers that are being started again, and gets no connection.
    held = bind(settings.host, settings.port, shared=True, listen=False)
    port = held.getsockname()[1]
    first = settings.metrics_port or port + 1
    workers = [_Worker(number, first + number) for number in range(settings.workers)]
    try:
        await _run(settings, port, workers, stopping)
    except* StartError as group:
        raise StartError(str(group.exceptions[0])) from None
    finally:
        held.close()
    log.info("all workers stopped")


async def _run(settings: Settings, port: int, workers: list[_Worker], stopping: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_keep(settings, port, workers[0], stopping), name="worker-0")
        await _first_of(workers[0].ready, stopping)
        for worker in workers[1:]:
            tasks.create_task(_keep(settings, port, worker, stopping), name=f"worker-{worker.number}")


async def _keep(settings: Settings, port: int, worker: _Worker, stopping: asyncio.Event) -> None:
    """One worker, started again whenever it dies."""
    loop = asyncio.get_running_loop()
    pause = FIRST_PAUSE
    while not stopping.is_set():
        started = loop.time()
        code = await _live(settings, port, worker, stopping)
        if stopping.is_set():
            return
        if not worker.ready.is_set() and code == CONFIGURATION:
            raise StartError("a worker can't start: see what it said above")
        pause = FIRST_PAUSE if loop.time() - started > STEADY_SECONDS else min(pause * 2, LONGEST_PAUSE)
        log.error("worker died, starts again", worker=worker.number, code=code, seconds=pause)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await stopping.wait()


async def _live(settings: Settings, port: int, worker: _Worker, stopping: asyncio.Event) -> int:
    """One life of a worker; its exit code."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "laurels.cli",
        "serve",
        "--worker",
        env=_environment(settings, port, worker),
        stdin=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C reaches this process alone, which then stops them in order
    )
    ended = asyncio.create_task(process.wait())
    watching = asyncio.create_task(_tell_when_ready(settings, worker, process.pid))
    asked = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({ended, asked}, return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            await _stop(process, ended)
        return await ended
    finally:
        for task in (watching, asked):
            task.cancel()
        if process.returncode is None:
            process.kill()


async def _stop(process: asyncio.subprocess.Process, ended: asyncio.Task[int]) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    done, _ = await asyncio.wait({ended}, timeout=STOP_SECONDS)
    if not done:
        log.error("worker does not stop, killed", pid=process.pid)
        process.kill()


async def _tell_when_ready(settings: Settings, worker: _Worker, pid: int) -> None:
    while not await _is_ready(settings.host, worker.port):  # noqa: ASYNC110  it is another process
        await asyncio.sleep(POLL)
    worker.ready.set()
    log.info("worker is ready", worker=worker.number, pid=pid, metrics=f"{settings.host}:{worker.port}/metrics")


async def _is_ready(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_connection(_local(host), port)
            writer.write(b"GET /readyz HTTP/1.1\r\nHost: worker\r\nConnection: close\r\n\r\n")
            status = await reader.readline()
            writer.close()
            return b" 200 " in status
    except (OSError, TimeoutError):
        return False


def _local(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  compared, not bound


def _environment(settings: Settings, port: int, worker: _Worker) -> dict[str, str]:
    own = {
        "LAURELS_PORT": str(port),
        "LAURELS_METRICS_PORT": str(worker.port),
        "LAURELS_WORKERS": str(settings.workers),
        "LAURELS_ROLE": settings.role,
    }
    return {name: value for name, value in os.environ.items() if f"{name.removesuffix('_FILE')}" not in own} | own


async def _first_of(*events: asyncio.Event) -> None:
    waiters = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
    for waiter in waiters:
        waiter.cancel()
