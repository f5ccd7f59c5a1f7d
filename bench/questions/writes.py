"""Parts shared by single completes and batches: a loaded service, its proof, and the bare ledger."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp

from ..floors.ledger import BareLedger
from ..load import Load, Plan, ask
from ..measure import Sizes
from ..proof import Claim, prove
from ..stage import Node
from . import Scene

BARE_ACTIONS = 12_000
"""Actions in one turn of the bare ledger, for a second or two."""
SMOKE_ACTIONS = 600


class LoadedService:
    """The service under load. Every turn is proved before its figure counts."""

    def __init__(self, node: Node, plan: Plan, sizes: Sizes, *, connections: int) -> None:
        self.loads: list[Load] = []
        self.batch_sizes: list[float] = []
        self.node = node
        self.plan = plan
        self._sizes = sizes
        self._connections = connections

    async def warm_up(self) -> None:
        if self._sizes.warm_up:
            await self._ask(replace(self.plan, prefix=f"{self.plan.prefix}-w-"), self._sizes.warm_up)

    async def actions_per_second(self, turn: int) -> float:
        """Run one turn and prove it; return actions per second."""
        plan = replace(self.plan, prefix=f"{self.plan.prefix}-{turn}-")
        before = await committed(self.node)
        load = await self._ask(plan, self._sizes.seconds)
        after = await committed(self.node)
        claim = Claim(plan.prefix, load.requests * plan.actions, self._connections * plan.actions)
        await prove(self.node, claim)
        self.loads.append(load)
        self.batch_sizes.append((after[0] - before[0]) / (after[1] - before[1]))
        return load.per_second * plan.actions

    @property
    def last_batch(self) -> int:
        """Return the actions per commit in the last turn, from /metrics."""
        return max(1, round(self.batch_sizes[-1]))

    async def _ask(self, plan: Plan, seconds: float) -> Load:
        return await ask(self.node.url, plan, connections=self._connections, seconds=seconds)


class PlayedLedger:
    """The bare ledger, which commits batches of the size that the service just had."""

    def __init__(self, bare: BareLedger, service: LoadedService, sizes: Sizes, *, per_user: int) -> None:
        self._bare = bare
        self._service = service
        self._per_user = per_user
        self._actions = SMOKE_ACTIONS if sizes.smoke else BARE_ACTIONS

    async def actions_per_second(self, _turn: int) -> float:
        return await self._bare.actions_per_second(
            batch=self._service.last_batch, per_user=self._per_user, actions=self._actions
        )

    async def copied_per_second(self, _turn: int) -> float:
        return await self._bare.copied_per_second(
            batch=self._service.last_batch, per_user=self._per_user, actions=self._actions
        )


@contextlib.asynccontextmanager
async def bare_ledger(scene: Scene, *, batch: int) -> AsyncIterator[BareLedger]:
    """Yield a warm bare ledger: every player has a standing, as in the service after its warm-up."""
    players = scene.sizes.players
    bare = await BareLedger.open(await scene.stage.database(players=players), players)
    try:
        await bare.actions_per_second(batch=batch, per_user=1, actions=players)
        yield bare
    finally:
        await bare.close()


async def committed(node: Node) -> tuple[float, float]:
    """Return (actions, commits) so far, of all workers."""
    actions = commits = 0.0
    async with aiohttp.ClientSession() as session:
        for url in node.workers:
            async with session.get(f"{url}/metrics") as reply:
                text = await reply.text()
            lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
            actions += float(lines["laurels_batch_actions_sum"])
            commits += float(lines["laurels_batch_actions_count"])
    return actions, commits
