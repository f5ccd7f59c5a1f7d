"""Server CPU of one live frame to one socket

The leader completes ten actions a second; each changes the board, so each is a frame to every socket. The cost of
such an action without subscribers is measured first and subtracted; the cost of building the frame is included.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp
import psutil

from ..floors import fanout, process
from ..measure import Aim, Row, Sizes, Spread, against, alternate
from ..stage import Node
from . import Scene

PLAYERS = 20
CROWD = 5
"""Factor for the number of sockets in the second round."""
FRAMES_PER_SECOND = 10
SETTLE = 1.0
"""Seconds that the last frames have to arrive before they are counted."""
READY_SECONDS = 60.0
FIRST_FRAMES = 3
"""hello, subscribed, board."""

Cause = Callable[[], Awaitable[None]]


class Receivers:
    """The process with the client ends of the sockets."""

    def __init__(self, running: asyncio.subprocess.Process) -> None:
        self._running = running

    async def ready(self) -> dict[str, int]:
        async with asyncio.timeout(READY_SECONDS):
            return await self._line()

    async def so_far(self) -> dict[str, int]:
        assert self._running.stdin is not None
        self._running.stdin.write(b"\n")
        return await self._line()

    async def _line(self) -> dict[str, int]:
        assert self._running.stdout is not None
        line = await self._running.stdout.readline()
        if not line:
            raise RuntimeError("the receivers died: too few file descriptors, or refused handshakes")
        return dict(json.loads(line))


@dataclass(slots=True)
class Broadcast:
    """One server, its receivers, and the cause of a frame. `cause_cost`: seconds of CPU for the cause alone."""

    process: psutil.Process
    receivers: Receivers
    cause: Cause
    sizes: Sizes
    cause_cost: float = 0.0

    async def cpu_per_message(self, _turn: int) -> float:
        """Return the server's CPU time, user and system, per frame that arrived, in µs."""
        before, used = await self.receivers.so_far(), cpu_seconds(self.process)
        causes = await _cause(self.cause, self.sizes.seconds)
        await asyncio.sleep(SETTLE)
        used, after = cpu_seconds(self.process) - used, await self.receivers.so_far()
        frames = after["frames"] - before["frames"]
        if after["open"] != self.sizes.sockets or frames < self.sizes.sockets:
            raise RuntimeError(f"{after['open']} of {self.sizes.sockets} sockets are open, {frames} frames arrived")
        return (used - causes * self.cause_cost) / frames * 1e6


async def measure(scene: Scene) -> list[Row]:
    rows = []
    for times in (1, CROWD):
        sizes = replace(scene.sizes, sockets=scene.sizes.sockets * times)
        rows += await _measured(replace(scene, sizes=sizes))
    return rows


async def _measured(scene: Scene) -> list[Row]:
    sizes = scene.sizes
    async with contextlib.AsyncExitStack() as stack:
        node = await stack.enter_async_context(
            scene.stage.node(players=PLAYERS, LAURELS_SOCKETS_PER_ADDRESS="100000", LAURELS_FRAMES_PER_SECOND="20")
        )
        session = await stack.enter_async_context(aiohttp.ClientSession())
        await _fill(session, node)
        server, lead = psutil.Process(node.pid), _leader(session, node)
        scene.tick("fan-out: the actions alone")
        cost = await _cost_alone(server, lead, sizes.seconds)
        scene.tick(f"fan-out: {sizes.sockets:,} sockets")
        place = urlsplit(node.url)
        follow = json.dumps({"type": "subscribe", "channel": "board:points"}, separators=(",", ":"))
        watching = await stack.enter_async_context(
            receivers(place.hostname, place.port, "/api/live", sizes.sockets, FIRST_FRAMES, follow)
        )
        await watching.ready()
        frame = await _frame_bytes(watching, lead)
        served = Broadcast(server, watching, lead, sizes, cost)
        floor = await stack.enter_async_context(_floor(sizes, frame))
        if sizes.warm_up:
            await served.cpu_per_message(-1)
            await floor.cpu_per_message(-1)
        sides = [("fan-out", served.cpu_per_message), ("fan-out: raw writes", floor.cpu_per_message)]
        figures = await alternate(sizes.turns, sides, scene.tick)
    return _rows(sizes.sockets, frame, figures)


async def _frame_bytes(ends: Receivers, cause: Cause) -> int:
    """Return the average size of a frame, which the floor sends too."""
    before = await ends.so_far()
    await _cause(cause, 1.0)
    await asyncio.sleep(SETTLE)
    after = await ends.so_far()
    return round((after["bytes"] - before["bytes"]) / (after["frames"] - before["frames"]))


async def _cost_alone(server: psutil.Process, cause: Cause, seconds: float) -> float:
    """Return the seconds of CPU for one action without subscribers."""
    await _cause(cause, min(1.0, seconds))
    used = cpu_seconds(server)
    causes = await _cause(cause, seconds)
    return (cpu_seconds(server) - used) / causes


async def _cause(cause: Cause, seconds: float) -> int:
    """Cause FRAMES_PER_SECOND for so many seconds; return the number."""
    loop = asyncio.get_running_loop()
    ends, count = loop.time() + seconds, 0
    while loop.time() < ends:
        # Irregular gaps: a regular beat would be held for review, and held actions move no board.
        due = loop.time() + random.uniform(0.5, 1.5) / FRAMES_PER_SECOND
        await cause()
        count += 1
        await asyncio.sleep(max(0.0, due - loop.time()))
    return count


def _rows(sockets: int, frame: int, figures: list[list[float]]) -> list[Row]:
    question = f"Server CPU per live frame of {frame} bytes, {sockets:,} sockets"
    per_core = Row("… so many frames a second a core", "/s", Spread.of([1e6 / cost for cost in figures[0]]))
    name = "uvloop transports, one loop of writes"
    return [against(question, "µs", figures[0], name, figures[1], aim=Aim("ratio", "≤", 1.15)), per_core]


@contextlib.asynccontextmanager
async def _floor(sizes: Sizes, frame: int) -> AsyncIterator[Broadcast]:
    async with process("bench.floors.fanout", str(frame)) as (port, pid):
        _, control = await asyncio.open_connection(fanout.HOST, int(port))

        async def tick() -> None:
            control.write(b"TICK\n")
            await control.drain()

        async with receivers(fanout.HOST, int(port), "/", sizes.sockets, 1) as ends:
            await ends.ready()
            yield Broadcast(psutil.Process(pid), ends, tick, sizes)
        control.close()


@contextlib.asynccontextmanager
async def receivers(
    host: str | None, port: int | None, path: str, count: int, frames: int, says: str = ""
) -> AsyncIterator[Receivers]:
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.load.sockets", str(host), str(port), path, str(count), str(frames), says),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Receivers(running)
    finally:
        with contextlib.suppress(ProcessLookupError):
            running.kill()
        await running.wait()


def _leader(session: aiohttp.ClientSession, node: Node) -> Cause:
    headers = {"Authorization": f"Bearer {node.tokens[0]}"}

    async def lead() -> None:
        body = {"action_type": "lesson", "action_identifier": uuid4().hex}
        async with session.post(f"{node.url}/api/actions/complete", json=body, headers=headers) as reply:
            if not (await reply.json())["score_earned"]:
                raise RuntimeError(f"an action that moves nothing causes no frame: {await reply.text()}")

    return lead


async def _fill(session: aiohttp.ClientSession, node: Node) -> None:
    """Fill the board, so that a frame has a realistic size."""
    for token in node.tokens:
        body = {"action_type": "lesson", "action_identifier": "fill"}
        headers = {"Authorization": f"Bearer {token}"}
        async with session.post(f"{node.url}/api/actions/complete", json=body, headers=headers) as reply:
            reply.raise_for_status()


def cpu_seconds(server: psutil.Process) -> float:
    """Return seconds of CPU time. Linux counts nanoseconds per thread; other systems count clock ticks."""
    tasks = Path(f"/proc/{server.pid}/task")
    if (tasks / str(server.pid) / "schedstat").exists():
        return sum(int(task.read_text().split()[0]) for task in tasks.glob("*/schedstat")) / 1e9
    times = server.cpu_times()
    return float(times.user + times.system)
