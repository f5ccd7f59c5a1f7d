"""Completes and ranks with a large ledger

Two nodes in the same run: one with an empty ledger, one with a million users and their actions. Both get the same load
for the same players, in turns.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from ..load import Plan
from ..measure import Aim, Row, against, alternate
from ..stage import FIRST_PLAYER
from . import Scene
from .asked import Asked, tokens_file
from .writes import LoadedService

PATH = "/api/actions/complete"
RANK = "/api/boards/points/rank/p-{}"
FLAT = Aim("ratio", "≥", 0.85)


async def measure(scene: Scene) -> list[Row]:
    users = scene.sizes.many
    each = scene.sizes.actions_each
    async with contextlib.AsyncExitStack() as stack:
        young, young_ranks = await stack.enter_async_context(_ledger(scene, scene.sizes.players, 0))
        old, old_ranks = await stack.enter_async_context(_ledger(scene, users, each))
        for side in (young, old, young_ranks, old_ranks):
            await side.warm_up()
        sides = [
            ("growth: empty ledger", young.actions_per_second),
            (f"growth: {users * each:,} actions", old.actions_per_second),
            ("growth: ranks, empty ledger", young_ranks.per_second),
            (f"growth: ranks, {users * each:,} actions", old_ranks.per_second),
        ]
        small, large, small_ranks, large_ranks = await alternate(scene.sizes.turns, sides, scene.tick)
    where, floor = f"{users * each:,} actions, {users:,} users", "a ledger that began empty"
    return [
        against(f"Completes over HTTP, {where}", "/s", large, floor, small, aim=FLAT),
        against(f"Ranks over HTTP, {where}", "/s", large_ranks, floor, small_ranks, aim=FLAT),
    ]


@contextlib.asynccontextmanager
async def _ledger(scene: Scene, users: int, actions_each: int) -> AsyncIterator[tuple[LoadedService, Asked]]:
    """Run a node under load. The same players write to both ledgers; in the large one they are few among many."""
    scene.tick(f"growth: writing {users * actions_each:,} actions")
    standings = users if actions_each else 0
    database_url = await scene.stage.database(players=users, standings=standings, actions_each=actions_each)
    async with scene.stage.node(database_url=database_url, players=scene.sizes.players) as node:
        plan = Plan("POST", PATH, 1, "k", tokens_file(scene.stage.folder, node))
        service = LoadedService(node, plan, scene.sizes, connections=scene.sizes.connections)
        file = scene.stage.folder / "paths-growth"
        last = FIRST_PLAYER + scene.sizes.players
        file.write_text("".join(RANK.format(user) + "\n" for user in range(FIRST_PLAYER, last)))
        yield service, Asked(node.url, Plan("GET", RANK, paths_file=str(file)), scene.sizes)
