"""Actions per second through the batch endpoint"""

from __future__ import annotations

from ..floors.ledger import BareLedger
from ..load import Plan
from ..measure import Aim, Row, against, alternate
from ..stage import Node
from . import Scene
from .asked import tokens_file
from .writes import LoadedService, PlayedLedger, bare_ledger

PATH = "/api/actions/batch"
CONNECTIONS = 8
WARM_UP_BATCH = 500


async def measure(scene: Scene) -> list[Row]:
    sizes = (20, 10) if scene.sizes.smoke else (1_000, 100)
    async with scene.stage.node(players=scene.sizes.players) as node, bare_ledger(scene, batch=WARM_UP_BATCH) as bare:
        return [row for actions in sizes for row in await _rows(scene, node, bare, actions)]


async def _rows(scene: Scene, node: Node, bare: BareLedger, actions: int) -> list[Row]:
    sizes, name = scene.sizes, f"batches of {actions:,}"
    plan = Plan("POST", PATH, actions, f"b{actions}", tokens_file(scene.stage.folder, node))
    service = LoadedService(node, plan, sizes, connections=CONNECTIONS)
    floor = PlayedLedger(bare, service, sizes, per_user=actions)
    scene.tick(f"{name}: warm-up")
    await service.warm_up()
    sides = [
        (name, service.actions_per_second),
        (f"{name}: bare ledger", floor.actions_per_second),
        (f"{name}: COPY", floor.copied_per_second),
    ]
    done, floors, copied = await alternate(sizes.turns, sides, scene.tick)
    question = f"Actions in batches of {actions:,} over HTTP, {CONNECTIONS} connections"
    copy = "COPY into the same tables and one aggregate UPDATE"
    return [
        against(question, "/s", done, "the same batches, bare asyncpg", floors, aim=Aim("ratio", "≥", 0.6)),
        against(f"… batches of {actions:,} beside COPY", "/s", done, copy, copied, aim=Aim("ratio", "≥", 0.5)),
    ]
