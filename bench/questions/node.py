"""Memory of a node, and the time from its start until it serves a large board"""

from __future__ import annotations

import asyncio
import time

import asyncpg
import psutil

from ..measure import Aim, Row, Spread, against, alternate
from ..stage import Node
from . import Scene

SETTLE = 1.0
"""Seconds after which a started node is idle."""
MB = 1_000_000
TURNS = 3
"""Few turns: a start takes long and hardly varies."""
IDLE = Aim("figure", "≤", 120.0)
START = Aim("figure", "≤", 5.0)
_COPIED = "SELECT user_id, score, reached_at, version FROM standings WHERE NOT hidden"


class Started:
    """Nodes on one database, started one after the other. `weights`: private and shared memory of each, MB."""

    def __init__(self, scene: Scene, database_url: str) -> None:
        self.weights: list[tuple[float, float]] = []
        self._scene = scene
        self._database_url = database_url

    async def seconds(self, _turn: int) -> float:
        """Return the seconds from the start of the process until `/readyz` answers 200."""
        async with self._scene.stage.node(database_url=self._database_url) as node:
            await asyncio.sleep(SETTLE)
            self.weights.append(_weight(node))
            return node.ready_after

    async def copied(self, _turn: int) -> float:
        """Return the seconds to COPY the same rows out of their table and discard them."""
        connection = await asyncpg.connect(self._database_url)
        started = time.perf_counter()
        await connection.copy_from_query(_COPIED, output=_drop, format="binary")
        spent = time.perf_counter() - started
        await connection.close()
        return spent


async def measure(scene: Scene) -> list[Row]:
    members, turns = scene.sizes.many, min(TURNS, scene.sizes.turns)
    empty = Started(scene, await scene.stage.database())
    scene.tick(f"node: writing {members:,} standings")
    full = Started(scene, await scene.stage.database(players=members, standings=members))
    sides = [("node: idle", empty.seconds), ("node: start", full.seconds), ("node: COPY", full.copied)]
    alone, seconds, copied = await alternate(turns, sides, scene.tick)
    copy = "COPY out of the table"
    return [
        Row(
            "Memory of an idle node, all that is resident", "MB", Spread.of([rss for _, rss in empty.weights]), aim=IDLE
        ),
        Row("… of it private to the process", "MB", Spread.of([private for private, _ in empty.weights])),
        Row(f"… with {members:,} members, all that is resident", "MB", Spread.of([rss for _, rss in full.weights])),
        Row("From its start to /readyz, empty board", "s", Spread.of(alone)),
        against(f"From its start to /readyz, {members:,} on the board", "s", seconds, copy, copied, aim=START),
    ]


def _weight(node: Node) -> tuple[float, float]:
    told = psutil.Process(node.pid).memory_full_info()
    return told.uss / MB, told.rss / MB


async def _drop(_rows: bytes) -> None:
    pass
