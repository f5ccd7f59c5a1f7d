"""Time until the last screen shows an action, at hundreds of actions per second

Measured from the instant that the ledger assigns to the action, just before its COMMIT, to the moment at which the last
socket has read a board with it. Ten leaders move the board, all others play below; detectors are off. It is compared
with the ping of an idle socket, and with a run that has one client that never reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

import aiohttp

from ..load.sockets import connect, masked
from ..measure import Aim, Row, against, alternate
from ..stage import Node
from . import Scene
from .asked import unwatched

PLAYERS = 500
LEADERS = 10
HEAD_START = 500
"""Actions by which leaders are ahead of all others throughout the run."""
RATE = 500
FRAMES_PER_SECOND = 60
SETTLE = 0.5
READY_SECONDS = 60.0
PING_GAP = 0.05
FOLLOW_ALL = '{"type":"subscribe","channel":"board:points","size":100}'
SMALLEST_BUFFER = 2_304
STALLED_WITHIN = 8
"""Seconds after which the kernel's buffers of a client that never reads are full."""
AIM = Aim("figure", "≤", 50.0)


@dataclass(slots=True)
class _Hall:
    """All screens of one node, and the players."""

    node: Node
    session: aiohttp.ClientSession
    screens: asyncio.subprocess.Process
    seconds: float
    count: int
    p99s: list[float] = field(default_factory=list)
    pings: list[tuple[float, float]] = field(default_factory=list)

    async def p50(self, turn: int) -> float:
        """Return the p50 in ms; record the p99 and the pings."""
        await self._load(f"w{turn}-", 1.0)  # connections are open, batches have reached their size
        shown, pings = await self._played(f"s{turn}-")
        self.p99s.append(_share(shown, 0.99))
        self.pings.append((_share(pings, 0.5), _share(pings, 0.99)))
        return _share(shown, 0.5)

    async def stalled_p99(self, turn: int) -> float:
        """Return the p99 in ms with a client that never reads, from when its frames are skipped."""
        place, before = urlsplit(self.node.url), await self._conflated()
        reader, _ = await asyncio.to_thread(
            connect, str(place.hostname), place.port or 80, "/api/live", masked(FOLLOW_ALL), buffer=SMALLEST_BUFFER
        )
        try:
            await self._until_stalled(f"u{turn}-", before)
            shown, _ = await self._played(f"t{turn}-")
        finally:
            reader.close()
        return _share(shown, 0.99)

    async def _until_stalled(self, prefix: str, before: float) -> None:
        for second in range(STALLED_WITHIN):
            await self._load(f"{prefix}{second}-", 1.0)
            if await self._conflated() > before:
                return
        raise RuntimeError("the client that never reads received everything: there is nothing to measure")

    async def _conflated(self) -> float:
        async with self.session.get(f"{self.node.url}/metrics") as reply:
            lines = (await reply.text()).splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith("laurels_live_frames_conflated_total")))

    async def _played(self, prefix: str) -> tuple[list[float], list[float]]:
        """Return (times from ledger to the last screen, pings), in ms."""
        await self._reached()
        pinging = asyncio.create_task(self._pinged())
        receipts = await self._load(prefix, self.seconds)
        await asyncio.sleep(SETTLE)
        pinging.cancel()
        reached = await self._reached()
        seqs = sorted(reached)
        waits = [
            1000 * (reached[seqs[bisect_left(seqs, seq)]] - at) for seq, at in receipts if seqs and seq <= seqs[-1]
        ]
        if len(waits) < len(receipts):
            raise RuntimeError(f"{len(receipts) - len(waits)} of {len(receipts)} actions did not reach every screen")
        return waits, await pinging

    async def _load(self, prefix: str, seconds: float) -> list[tuple[int, float]]:
        """Send RATE actions a second at random instants; return (seq, instant in the ledger) of the leaders'."""
        asked: list[Awaitable[tuple[int, float]]] = []
        led: list[asyncio.Task[tuple[int, float]]] = []
        ends = time.perf_counter() + seconds
        due = time.perf_counter()
        while due < ends:
            due += random.expovariate(RATE)
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            leads = random.random() < 0.2
            player = random.randrange(LEADERS) if leads else random.randrange(LEADERS, PLAYERS)
            task = asyncio.create_task(self._complete(self.node.tokens[player], f"{prefix}{len(asked)}"))
            asked.append(task)
            if leads:
                led.append(task)
        await asyncio.gather(*asked)
        return [task.result() for task in led]

    async def _complete(self, token: str, identifier: str) -> tuple[int, float]:
        body = {"action_type": "lesson", "action_identifier": identifier}
        headers = {"Authorization": f"Bearer {token}"}
        async with self.session.post(f"{self.node.url}/api/actions/complete", json=body, headers=headers) as reply:
            told = await reply.json()
        if told.get("status") != "awarded":
            raise RuntimeError(f"not awarded: {told}")
        return told["seq"], datetime.fromisoformat(told["completed_at"]).timestamp()

    async def _pinged(self) -> list[float]:
        """Record round trips of an idle socket, in ms, until cancelled."""
        taken: list[float] = []
        async with self.session.ws_connect(f"{self.node.url}/api/live", protocols=("laurels.v1",)) as idle:
            await idle.receive()  # hello
            with contextlib.suppress(asyncio.CancelledError):
                while True:
                    started = time.perf_counter()
                    await idle.send_str('{"type":"ping"}')
                    await idle.receive()
                    taken.append(1000 * (time.perf_counter() - started))
                    await asyncio.sleep(PING_GAP)
        return taken

    async def _reached(self) -> dict[int, float]:
        assert self.screens.stdin is not None
        assert self.screens.stdout is not None
        self.screens.stdin.write(b"\n")
        told = json.loads(await self.screens.stdout.readline())
        if told["open"] != self.count:
            raise RuntimeError(f"{told['open']} of {self.count} screens are open")
        return {int(seq): at for seq, at in told["reached"].items()}


def _share(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def measure(scene: Scene) -> list[Row]:
    sizes = scene.sizes
    async with _hall(scene) as hall:
        scene.tick("screens: warm-up")
        await hall.p50(-1)
        hall.p99s.clear()
        hall.pings.clear()
        sides = [("screens", hall.p50), ("screens: one that never reads", hall.stalled_p99)]
        p50s, stalled = await alternate(sizes.turns, sides, scene.tick)
    name = f"From the ledger to the last of {sizes.sockets:,} screens, {RATE} actions a second"
    told = f"{FRAMES_PER_SECOND} frames a second at most"
    pings = [[ping[n] for ping in hall.pings] for n in (0, 1)]
    return [
        against(f"{name}, p50", "ms", p50s, "ping of an idle socket", pings[0], note=told),
        against("… p99", "ms", hall.p99s, "ping of an idle socket", pings[1], aim=AIM),
        against("… p99 with one reader that never reads", "ms", stalled, "without", hall.p99s),
    ]


@contextlib.asynccontextmanager
async def _hall(scene: Scene) -> AsyncIterator[_Hall]:
    async with contextlib.AsyncExitStack() as stack:
        node = await stack.enter_async_context(
            scene.stage.node(
                players=PLAYERS,
                database_url=await unwatched(scene, PLAYERS),
                LAURELS_SOCKETS_PER_ADDRESS="100000",
                LAURELS_FRAMES_PER_SECOND=str(FRAMES_PER_SECOND),
            )
        )
        connector = aiohttp.TCPConnector(limit=64)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        for token in node.tokens[:LEADERS]:
            await _ahead(session, node, token)
        place = urlsplit(node.url)
        screens = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.load.screens", str(place.hostname), str(place.port)),
            str(scene.sizes.sockets),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=16 * 1024 * 1024,
        )
        stack.push_async_callback(_ended, screens)
        async with asyncio.timeout(READY_SECONDS):
            assert screens.stdout is not None
            await screens.stdout.readline()
        yield _Hall(node, session, screens, scene.sizes.seconds, scene.sizes.sockets)


async def _ahead(session: aiohttp.ClientSession, node: Node, token: str) -> None:
    actions = [{"action_type": "lesson", "action_identifier": f"ahead-{n}"} for n in range(HEAD_START)]
    headers = {"Authorization": f"Bearer {token}"}
    async with session.post(f"{node.url}/api/actions/batch", json={"actions": actions}, headers=headers) as reply:
        reply.raise_for_status()


async def _ended(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
