"""Actions per second over one live socket, one action per frame

Compared with the batch endpoint, in full batches over one connection and over several. Detectors are off: a user with a
million actions a minute would be held as soon as there is a baseline.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..load import Load, Plan, stream
from ..measure import Aim, Row, against, alternate
from ..proof import Claim, prove
from ..stage import Node
from . import Scene, batches
from .asked import tokens_file, unwatched
from .writes import LoadedService

AIM = Aim("ratio", "≥", 0.7)


@dataclass(slots=True)
class _Streamed:
    """One socket of one user; every turn is proved."""

    node: Node
    seconds: float

    async def per_second(self, turn: int) -> float:
        prefix = f"stream{turn}-"  # differs from that of the batches
        load: Load = await stream(self.node.url, self.node.tokens[0], prefix, seconds=self.seconds)
        await prove(self.node, Claim(prefix, load.requests, 0))
        return load.per_second


async def measure(scene: Scene) -> list[Row]:
    sizes = scene.sizes
    actions = 20 if sizes.smoke else 1_000
    database_url = await unwatched(scene, sizes.players)
    async with scene.stage.node(players=sizes.players, database_url=database_url) as node:
        tokens = tokens_file(scene.stage.folder, node)
        streamed = _Streamed(node, sizes.seconds)
        one, many = (
            LoadedService(node, Plan("POST", batches.PATH, actions, f"l{n}-", tokens), sizes, connections=n)
            for n in (1, batches.CONNECTIONS)
        )
        if sizes.warm_up:
            await streamed.per_second(-1)
        await many.warm_up()
        sides = [
            ("stream: one socket", streamed.per_second),
            ("stream: batches, one connection", one.actions_per_second),
            (f"stream: batches, {batches.CONNECTIONS} connections", many.actions_per_second),
        ]
        done, alone, together = await alternate(sizes.turns, sides, scene.tick)
    question, floor = "Actions over one live socket, one a frame", f"batches of {actions:,}"
    return [
        against(question, "/s", done, f"{floor}, one connection", alone, aim=AIM),
        against(
            "… beside the batch endpoint under load",
            "/s",
            done,
            f"{floor}, {batches.CONNECTIONS} connections",
            together,
        ),
    ]
