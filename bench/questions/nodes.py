"""Completes per second of one node and of two, as processes on separate ports

Both share PostgreSQL and Redis and are loaded at the same time, each by its own generator, for different users. One
node with the index in Redis is compared with one that has it in memory, and two with one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import aiohttp
import psutil
from tests.support.polling import eventually

from ..load import Plan, ask
from ..measure import Row, Sizes, against, alternate
from ..proof import Claim, prove
from ..stage import Node
from . import Scene
from .completes import PATH

READY_SECONDS = 30.0


class _Nodes:
    """Nodes of one service under load; every turn is proved on each of them before its figure counts."""

    def __init__(self, name: str, nodes: Sequence[Node], folder: Path, sizes: Sizes) -> None:
        self._name = name
        self._nodes = nodes
        self._sizes = sizes
        self.cpu: list[float] = []
        """Processor time of the nodes per action in µs, by turn."""
        self._tokens = [_share(folder / f"tokens-{name}-{at}", node, at, len(nodes)) for at, node in enumerate(nodes)]

    async def warm_up(self) -> None:
        if self._sizes.warm_up:
            await self._ask(f"{self._name}-w", self._sizes.warm_up)

    async def per_second(self, turn: int) -> float:
        """Return the actions per second of all nodes together."""
        prefix = f"{self._name}-{turn}"
        before = self._spent()
        answered, rate = await self._ask(prefix, self._sizes.seconds)
        self.cpu.append((self._spent() - before) / answered * 1e6)
        for node in self._nodes:
            await prove(node, Claim(f"{prefix}-", answered, self._sizes.connections))
        return rate

    def _spent(self) -> float:
        times = [psutil.Process(node.pid).cpu_times() for node in self._nodes]
        return float(sum(one.user + one.system for one in times))

    async def _ask(self, prefix: str, seconds: float) -> tuple[int, float]:
        connections = self._sizes.connections // len(self._nodes)
        loads = await asyncio.gather(
            *(
                ask(
                    node.url,
                    Plan("POST", PATH, 1, f"{prefix}-{at}-", tokens),
                    connections=connections,
                    seconds=seconds,
                )
                for at, (node, tokens) in enumerate(zip(self._nodes, self._tokens, strict=True))
            )
        )
        return sum(load.requests for load in loads), sum(load.per_second for load in loads)


async def measure(scene: Scene) -> list[Row]:
    sizes = scene.sizes
    async with _services(scene) as (alone, one, two):
        folder = scene.stage.folder
        sides = {
            "one node, index in memory": _Nodes("memory", [alone], folder, sizes),
            "one node, index in Redis": _Nodes("one", [one], folder, sizes),
            "two nodes, index in Redis": _Nodes("two", [one, two], folder, sizes),
        }
        for side in sides.values():
            await side.warm_up()
        memory, shared, pair = await alternate(
            sizes.turns, [(f"nodes: {name}", side.per_second) for name, side in sides.items()], scene.tick
        )
    memory_cpu, one_cpu, pair_cpu = (side.cpu for side in sides.values())
    question = f"Completes over HTTP, {sizes.connections} connections"
    return [
        against(f"{question}: one node, index in Redis", "/s", shared, "one node, index in memory", memory),
        against(f"{question}: two nodes", "/s", pair, "one node, index in Redis", shared),
        against("… processor time of the node an action, index in Redis", "µs", one_cpu, "index in memory", memory_cpu),
        against("… of two nodes together", "µs", pair_cpu, "of one, index in Redis", one_cpu),
    ]


@contextlib.asynccontextmanager
async def _services(scene: Scene) -> AsyncIterator[tuple[Node, Node, Node]]:
    """Run a single node, and two of another service, the second of which idles while the first is loaded alone."""
    stage, players = scene.stage, scene.sizes.players
    scene.tick("nodes: starting three")
    async with contextlib.AsyncExitStack() as stack:
        redis_url = await stack.enter_async_context(stage.redis())
        shared = await stage.database(players=players)
        starting = [stage.node(players=players)]
        starting += [stage.node(players=players, database_url=shared, redis_url=redis_url) for _ in range(2)]
        nodes = await asyncio.gather(*(stack.enter_async_context(one) for one in starting))
        for node in nodes:
            await _well(node)
        yield nodes[0], nodes[1], nodes[2]


async def _well(node: Node) -> None:
    """Wait until the node's ranks come from the index and it is not degraded."""

    async def lacks() -> list[str]:
        async with aiohttp.ClientSession() as session, session.get(f"{node.url}/readyz") as reply:
            told = await reply.json()
        return [*told["missing"], *told["degraded"]]

    await eventually(lacks, lambda lacking: not lacking, within=READY_SECONDS)


def _share(file: Path, node: Node, at: int, of: int) -> str:
    """Write the tokens of every `of`th player to a file, so that no user is on two nodes; return its path."""
    file.write_text("\n".join(node.tokens[at::of]) + "\n")
    return str(file)
