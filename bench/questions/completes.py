"""(a) How many single actions a second, each in its own request, each committed and ranked before its answer?"""

from __future__ import annotations

import contextlib

from ..load import Load, Plan, generator
from ..measure import Aim, Row, Spread, against, alternate
from . import Scene
from .asked import Asked, answering, sample_reply, tokens_file
from .writes import LoadedService, PlayedLedger, bare_ledger

PATH = "/api/actions/complete"
FIRST_GUESS = 32
"""Batch size of the bare ledger's warm-up, before the service has told its own."""


async def measure(scene: Scene) -> list[Row]:
    sizes = scene.sizes
    async with contextlib.AsyncExitStack() as stack:
        node = await stack.enter_async_context(scene.stage.node(players=sizes.players))
        bare = await stack.enter_async_context(bare_ledger(scene, batch=FIRST_GUESS))
        reply = await sample_reply(node, PATH, {"action_type": "lesson", "action_identifier": "sample"})
        echo_url = await stack.enter_async_context(answering(scene, "aiohttp", 201, reply))
        bare_url = await stack.enter_async_context(answering(scene, "bare", 201, reply))
        plan = Plan("POST", PATH, 1, "a", tokens_file(scene, node))
        service = LoadedService(node, plan, sizes, connections=sizes.connections)
        echo, responder = Asked(echo_url, plan, sizes), Asked(bare_url, plan, sizes)
        scene.tick("completes: warm-up")
        await service.warm_up()
        await echo.warm_up()
        sides = [
            ("completes", service.actions_per_second),
            ("completes: bare ledger", PlayedLedger(bare, service, sizes, per_user=1).actions_per_second),
            ("completes: echo", echo.per_second),
            ("completes: generator", responder.per_second),
        ]
        figures = await alternate(sizes.turns, sides, scene.tick)
    return _rows(sizes.connections, figures, service, echo)


def _rows(connections: int, figures: list[list[float]], service: LoadedService, echo: Asked) -> list[Row]:
    done, ledger, echoed, ceiling = figures
    batch = Spread.of(service.batch_sizes)
    question = f"Completes over HTTP, {connections} connections, distinct users"
    can_ask = f"What {generator()} can ask of a bare responder"
    return [
        against(question, "/s", done, f"bare asyncpg, batches of {batch.median:.0f}", ledger),
        against("… the same, beside HTTP alone", "/s", done, "aiohttp echo of body and reply", echoed),
        _latency("p50", service.loads, echo.loads),
        _latency("p99", service.loads, echo.loads),
        Row("… actions per commit, as it came", "", batch),
        against(can_ask, "/s", ceiling, "completes", done, aim=Aim("ratio", "≥", 2.0)),
    ]


def _latency(name: str, loads: list[Load], floors: list[Load]) -> Row:
    figures, beneath = ([getattr(load, name) for load in side] for side in (loads, floors))
    return against(f"… their latency, {name}", "ms", figures, "aiohttp echo", beneath)
