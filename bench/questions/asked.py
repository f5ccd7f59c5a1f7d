"""Servers under load without a proof of their own, and other parts that questions share."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import asyncpg

from ..floors import process
from ..load import Load, Plan, ask
from ..measure import Sizes
from ..stage import Node
from . import Scene

_UNWATCHED = """UPDATE action_types SET scoring_rules = '{"watch": {"off": true}}' WHERE name = 'lesson'"""


class Asked:
    """A server under load, turn by turn."""

    def __init__(self, url: str, plan: Plan, sizes: Sizes) -> None:
        self.loads: list[Load] = []
        self._url = url
        self.plan = plan
        self._sizes = sizes

    async def warm_up(self) -> None:
        if self._sizes.warm_up:
            await ask(self._url, self.plan, connections=self._sizes.connections, seconds=self._sizes.warm_up)

    async def per_second(self, _turn: int) -> float:
        """Return requests answered per second."""
        sizes = self._sizes
        load = await ask(self._url, self.plan, connections=sizes.connections, seconds=sizes.seconds)
        self.loads.append(load)
        return load.per_second


@contextlib.asynccontextmanager
async def answering(scene: Scene, kind: str, status: int, body: bytes) -> AsyncIterator[str]:
    """Run a floors.http server with this answer and yield its address."""
    file = scene.stage.folder / f"reply-{kind}-{status}-{len(body)}"
    file.write_bytes(body)
    async with process("bench.floors.http", kind, str(status), str(file)) as (url, _):
        yield url


def tokens_file(folder: Path, node: Node) -> str:
    """Write the tokens of the node's players to a file, one per line; return its path."""
    file = folder / "tokens"
    file.write_text("\n".join(node.tokens) + "\n")
    return str(file)


async def sample_reply(node: Node, path: str, body: object, *, token: str = "") -> bytes:
    """Return an answer of the service, for a floor of the same size."""
    headers = {"Authorization": f"Bearer {token or node.tokens[0]}"}
    async with aiohttp.ClientSession() as session, session.post(node.url + path, json=body, headers=headers) as reply:
        if reply.status != 201:
            raise RuntimeError(f"{path} answered {reply.status}: {await reply.text()}")
        return await reply.read()


async def unwatched(scene: Scene, players: int) -> str:
    """Create a database with so many players and no detectors; return its address."""
    url = await scene.stage.database(players=players)
    connection = await asyncpg.connect(url)
    await connection.execute(_UNWATCHED)
    await connection.close()
    return url
