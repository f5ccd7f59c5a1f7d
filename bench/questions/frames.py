"""(f) How many actions a second over live sockets, one a frame, against batches over HTTP?

As many users and connections on both sides. A batch shares its body, its checks and its answer among a hundred
actions; frames have those each, and must be gathered into batches by the server.
"""

from __future__ import annotations

import asyncio
import json
import sys
from urllib.parse import urlsplit

import asyncpg

from ..load import LoadFailed, Plan
from ..measure import Aim, Row, against, alternate
from ..stage import Node
from . import Scene
from .asked import tokens_file
from .writes import LoadedService

USERS = 8
BATCH = 100


async def measure(scene: Scene) -> list[Row]:
    actions = 10 if scene.sizes.smoke else BATCH
    async with scene.stage.node(players=USERS, LAURELS_SOCKETS_PER_USER="100") as node:
        file = tokens_file(scene.stage.folder, node)
        plan = Plan("POST", "/api/actions/batch", actions, "f", file)
        batches = LoadedService(node, plan, scene.sizes, connections=USERS)

        async def frames_per_second(turn: int) -> float:
            return await _frames(node, scene.sizes.seconds, f"s{turn}", file)

        scene.tick("frames: warm-up")
        await batches.warm_up()
        await frames_per_second(-1)
        sides = [("frames", frames_per_second), (f"batches of {actions}", batches.actions_per_second)]
        done, over_http = await alternate(scene.sizes.turns, sides, scene.tick)
    question = f"Actions over {USERS} live sockets, one a frame"
    return [against(question, "/s", done, f"batches of {actions} over HTTP", over_http, aim=Aim("ratio", "≥", 0.7))]


async def _frames(node: Node, seconds: float, prefix: str, file: str) -> float:
    place = urlsplit(node.url)
    before = await _written(node)
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.load.frames", str(place.hostname), str(place.port), str(seconds), prefix, file),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(seconds + 30):
        output, _ = await running.communicate()
    if running.returncode:
        raise LoadFailed("the sender of frames died")
    told = json.loads(output)
    if told["refused"] or not told["results"]:
        raise LoadFailed(f"{told['refused']} of {told['results']} actions were refused")
    if await _written(node) - before < told["results"]:
        raise LoadFailed("more results than rows in the ledger")
    return float(told["results"] / told["seconds"])


async def _written(node: Node) -> int:
    """Actions in the ledger that count."""
    connection = await asyncpg.connect(node.database_url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM actions WHERE status = 'awarded'"))
    finally:
        await connection.close()
