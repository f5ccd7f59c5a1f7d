"""Single actions per second, each in its own request, committed and ranked before its answer"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg

from .. import peers
from ..floors import process
from ..load import Load, Plan, generator
from ..measure import Aim, Row, Side, Spread, against, alternate
from ..proof import ProofFailed
from . import Scene
from .asked import Asked, answering, sample_reply, tokens_file
from .writes import LoadedService, PlayedLedger, bare_ledger

PATH = "/api/actions/complete"
FIRST_GUESS = 32
"""Batch size of the bare ledger's warm-up, before that of the service is known."""
OF_AN_ECHO = Aim("ratio", "≥", 0.6)
OF_A_PEER = Aim("ratio", "≥", 6.0)
_PEER_COUNTS = """
SELECT (SELECT count(*) FROM peer_actions WHERE starts_with(action_identifier, $1)) AS rows,
       (SELECT sum(score_earned) FROM peer_actions) AS earned, (SELECT sum(score) FROM peer_players) AS scores"""


@dataclass(frozen=True, slots=True)
class _Way:
    """A configuration of nodes."""

    name: str
    workers: int = 1
    redis: bool = False


MEMORY = _Way("index in memory")
WAYS = (MEMORY, _Way("index in Redis", redis=True), _Way("index in Redis, 2 workers", workers=2, redis=True))


@dataclass(slots=True)
class _Peer:
    """The plain stack under load; every turn is proved like those of the service."""

    asked: Asked
    plan: Plan
    connections: int
    database: asyncpg.Connection

    async def per_second(self, turn: int) -> float:
        self.asked.plan = Plan(
            self.plan.method, self.plan.path, 1, f"{self.plan.prefix}-{turn}-", self.plan.tokens_file
        )
        rate = await self.asked.per_second(turn)
        told = await self.database.fetchrow(_PEER_COUNTS, self.asked.plan.prefix)
        answered = self.asked.loads[-1].requests
        if not answered <= told["rows"] <= answered + self.connections or told["earned"] != told["scores"]:
            raise ProofFailed(f"the per-request stack answered {answered} and holds {dict(told)}")
        return rate


async def measure(scene: Scene) -> list[Row]:
    sizes = scene.sizes
    async with contextlib.AsyncExitStack() as stack:
        services = {way: await stack.enter_async_context(_service(scene, way)) for way in WAYS}
        service = services[MEMORY]
        bare = await stack.enter_async_context(bare_ledger(scene, batch=FIRST_GUESS))
        reply = await sample_reply(service.node, PATH, {"action_type": "lesson", "action_identifier": "sample"})
        echo_url = await stack.enter_async_context(answering(scene, "aiohttp", 201, reply))
        bare_url = await stack.enter_async_context(answering(scene, "bare", 201, reply))
        echo, responder = Asked(echo_url, service.plan, sizes), Asked(bare_url, service.plan, sizes)
        sides: list[Side] = [(f"completes: {way.name}", side.actions_per_second) for way, side in services.items()]
        sides += [
            ("completes: bare ledger", PlayedLedger(bare, service, sizes, per_user=1).actions_per_second),
            ("completes: echo", echo.per_second),
            ("completes: generator", responder.per_second),
        ]
        if peers.installed():
            peer = await stack.enter_async_context(_peer(scene, service.plan))
            sides.append(("completes: per-request stack", peer.per_second))
        scene.tick("completes: warm-up")
        await echo.warm_up()
        for side in services.values():
            await side.warm_up()
        figures = await alternate(sizes.turns, sides, scene.tick)
    return _rows(scene, figures, services, echo)


@contextlib.asynccontextmanager
async def _service(scene: Scene, way: _Way) -> AsyncIterator[LoadedService]:
    sizes = scene.sizes
    async with contextlib.AsyncExitStack() as stack:
        redis_url = await stack.enter_async_context(scene.stage.redis()) if way.redis else ""
        node = await stack.enter_async_context(
            scene.stage.node(players=sizes.players, redis_url=redis_url, workers=way.workers)
        )
        plan = Plan("POST", PATH, 1, "a", tokens_file(scene.stage.folder, node))
        yield LoadedService(node, plan, sizes, connections=sizes.connections)


@contextlib.asynccontextmanager
async def _peer(scene: Scene, plan: Plan) -> AsyncIterator[_Peer]:
    """Run the plain stack. Its users and keys are those of the template, so the service's tokens are valid there."""
    database_url = await scene.stage.database(players=scene.sizes.players)
    async with (
        scene.stage.redis() as redis_url,
        process("bench.peers.per_request", database_url, redis_url) as (url, _),
    ):
        asked = Asked(url, plan, scene.sizes)
        connection = await asyncpg.connect(database_url)
        try:
            await asked.warm_up()
            yield _Peer(asked, plan, scene.sizes.connections, connection)
        finally:
            await connection.close()


def _rows(scene: Scene, figures: list[list[float]], services: dict[_Way, LoadedService], echo: Asked) -> list[Row]:
    done, shared, workers, ledger, echoed, ceiling, *peer = figures
    service = services[MEMORY]
    batch = Spread.of(service.batch_sizes)
    question = f"Completes over HTTP, {scene.sizes.connections} connections, distinct users"
    floor = "aiohttp echo of body and reply, one process"
    can_ask = f"What {generator()} can ask of a bare responder"
    return [
        against(question, "/s", done, f"bare asyncpg, batches of {batch.median:.0f}", ledger),
        against("… the same, beside HTTP alone", "/s", done, floor, echoed, aim=OF_AN_ECHO),
        against("… index in Redis, beside HTTP alone", "/s", shared, floor, echoed, aim=OF_AN_ECHO),
        against("… index in Redis, 2 workers, beside HTTP alone", "/s", workers, floor, echoed, aim=OF_AN_ECHO),
        *_beside_a_peer(scene, done, peer),
        _latency("p50", service.loads, echo.loads),
        _latency("p99", service.loads, echo.loads),
        Row("… actions per commit, as it came", "", batch),
        against(can_ask, "/s", ceiling, "completes", done, aim=Aim("ratio", "≥", 2.0)),
    ]


def _beside_a_peer(scene: Scene, done: list[float], peer: list[list[float]]) -> list[Row]:
    if not peer:
        scene.tell("completes: the per-request stack is not installed (scripts/ensure-peers); its row is left out")
        return []
    name = "FastAPI, SQLAlchemy, redis-py; one transaction per request, no rules"
    return [against("… beside a plain per-request stack", "/s", done, name, peer[0], aim=OF_A_PEER)]


def _latency(name: str, loads: list[Load], floors: list[Load]) -> Row:
    figures, beneath = ([getattr(load, name) for load in side] for side in (loads, floors))
    return against(f"… their latency, {name}", "ms", figures, "aiohttp echo", beneath)
