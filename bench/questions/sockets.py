"""Memory of a live socket, and the rate at which thousands connect

All sockets connect at once and follow the board; then nothing changes. Memory is the growth of the server's unique set
size over all sockets; the server's CPU for a handshake and the first board is reported beside the rate.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import psutil

from ..measure import Aim, Row, Spread
from . import Scene
from .fanout import FIRST_FRAMES, cpu_seconds, receivers

STORM = 5_000
WARM = 200
"""Sockets that connect and leave first, so that one-time allocations do not count."""


async def measure(scene: Scene) -> list[Row]:
    count = scene.sizes.sockets if scene.sizes.smoke else STORM
    async with scene.stage.node(players=1, LAURELS_SOCKETS_PER_ADDRESS="100000") as node:
        server, place = psutil.Process(node.pid), urlsplit(node.url)
        weights, rates, costs = [], [], []
        for turn in range(scene.sizes.turns + 1):
            scene.tick(f"sockets: {count:,}, turn {turn} of {scene.sizes.turns}")
            wanted = min(WARM, count) if turn == 0 else count
            before, used = server.memory_full_info().uss, cpu_seconds(server)
            async with _open(place.hostname, place.port, wanted) as seconds:
                if turn:
                    weights.append((server.memory_full_info().uss - before) / wanted / 1024)
                    rates.append(wanted / seconds)
                    costs.append((cpu_seconds(server) - used) / wanted * 1e6)
            await asyncio.sleep(1.0)
    return [
        Row(
            f"Memory of an idle live socket, {count:,} sockets",
            "kB",
            Spread.of(weights[:1]),
            aim=Aim("figure", "≤", 25),
        ),
        Row(f"Live sockets opened, {count:,} in a storm", "/s", Spread.of(rates)),
        Row("… server CPU for each, with its first board", "µs", Spread.of(costs)),
    ]


@contextlib.asynccontextmanager
async def _open(host: str | None, port: int | None, count: int) -> AsyncIterator[float]:
    """Open all sockets and yield the seconds until all were connected."""
    follow = json.dumps({"type": "subscribe", "channel": "board:points"}, separators=(",", ":"))
    async with receivers(host, port, "/api/live", count, FIRST_FRAMES, follow) as opened:
        yield float((await opened.ready())["seconds"])
