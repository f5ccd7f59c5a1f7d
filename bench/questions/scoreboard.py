"""Scoreboards read per second, in full and unchanged"""

from __future__ import annotations

import aiohttp

from ..load import Plan, generator
from ..measure import Aim, Row, against, alternate
from ..stage import Node
from . import Scene
from .asked import Asked, answering, sample_reply

PATH = "/api/scoreboard"
AIM = Aim("ratio", "≥", 0.8)
ROWS = 20
"""Users with a score: more than the board shows."""


async def measure(scene: Scene) -> list[Row]:
    async with scene.stage.node(players=ROWS) as node:
        await _fill(node)
        body, etag = await _board(node)
        plain = await _row(scene, node, Plan("GET", PATH), 200, body)
        hit = await _row(scene, node, Plan("GET", PATH, headers=[f"If-None-Match: {etag}"]), 304, b"")
    return [*plain, hit[0]]


async def _row(scene: Scene, node: Node, plan: Plan, status: int, body: bytes) -> list[Row]:
    sizes, name = scene.sizes, "scoreboard" if status == 200 else "scoreboard, ETag"
    async with (
        answering(scene, "aiohttp", status, body) as constant_url,
        answering(scene, "bare", status, body) as bare_url,
    ):
        service, constant, bare = (Asked(url, plan, sizes) for url in (node.url, constant_url, bare_url))
        scene.tick(f"{name}: warm-up")
        await service.warm_up()
        await constant.warm_up()
        done, floor, ceiling = await alternate(
            sizes.turns,
            [
                (name, service.per_second),
                (f"{name}: constant bytes", constant.per_second),
                (f"{name}: generator", bare.per_second),
            ],
            scene.tick,
        )
    what = "in full" if status == 200 else "unchanged (304)"
    floor_name = f"aiohttp answering {len(body):,} constant bytes"
    can_ask = f"What {generator()} can ask of a bare responder"
    return [
        against(f"GET {PATH}, {what}", "/s", done, floor_name, floor, aim=AIM),
        against(can_ask, "/s", ceiling, f"GET {PATH}", done, aim=Aim("ratio", "≥", 2.0)),
    ]


async def _fill(node: Node) -> None:
    for number in range(ROWS):
        body = {"action_type": "lesson", "action_identifier": f"c-{number}"}
        await sample_reply(node, "/api/actions/complete", body, token=node.tokens[number])


async def _board(node: Node) -> tuple[bytes, str]:
    """Return (body, ETag) of the board."""
    async with aiohttp.ClientSession() as session, session.get(node.url + PATH) as reply:
        return await reply.read(), reply.headers["ETag"]
