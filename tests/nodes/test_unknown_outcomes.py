"""A COMMIT whose reply is lost, retried at another node: once acknowledged, no node shows the old score as exact.

The reply is cut between the first node and PostgreSQL while a row lock keeps the statement there: it is certain that
the ledger wrote the batch and that its node never heard so.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
from tests.support.fault_proxy import FaultProxy
from tests.support.node import InProcessNode, running_node
from tests.support.polling import eventually
from tests.support.redis import RedisServer

from laurels.config import Settings

WORTH = 10
_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
_WRITTEN = "SELECT count(*) FROM actions WHERE action_identifier = $1"


@dataclass(frozen=True, slots=True)
class Scene:
    """`first` reaches the ledger through `to_ledger`, `second` reaches Redis through `to_redis`."""

    first: InProcessNode
    second: InProcessNode
    third: InProcessNode
    to_ledger: FaultProxy
    to_redis: FaultProxy
    database_url: str


@pytest.fixture
async def scene(settings: Settings, database_url: str, own_redis: RedisServer) -> AsyncIterator[Scene]:
    async with contextlib.AsyncExitStack() as stack:
        to_ledger = await stack.enter_async_context(FaultProxy(_socket(database_url)).running())
        to_redis = await stack.enter_async_context(FaultProxy(own_redis.socket).running())
        shared = replace(settings, redis_url=own_redis.url)
        nodes = [
            await stack.enter_async_context(running_node(one))
            for one in (
                replace(shared, database_url=through(to_ledger, database_url)),
                replace(shared, redis_url=f"redis://127.0.0.1:{to_redis.port}"),
                shared,
            )
        ]
        for node in nodes:
            await eventually(partial(node.get, "/readyz"), lambda told: not told[1]["degraded"], within=20)
        first, second, third = nodes
        yield Scene(first, second, third, to_ledger, to_redis, database_url)
        to_ledger.heal()
        to_redis.heal()


def _socket(database_url: str) -> Path:
    return Path(parse_qs(urlsplit(database_url).query)["host"][0]) / ".s.PGSQL.5432"


def through(wire: FaultProxy, database_url: str) -> str:
    parts = urlsplit(database_url)
    return f"postgresql://{parts.username}@127.0.0.1:{wire.port}{parts.path}"


@contextlib.asynccontextmanager
async def commit_in_doubt(node: InProcessNode, wire: FaultProxy, database_url: str, token: str) -> AsyncIterator[None]:
    """`node` commits action `x`, and does not learn of it within the block."""
    connection = await asyncpg.connect(database_url)
    sending = None
    try:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("SELECT FROM users FOR UPDATE")
        sending = asyncio.create_task(node.complete(token, "x"))
        watcher = await asyncpg.connect(database_url)
        await eventually(lambda: watcher.fetchval(_WAITING), bool, within=20)
        wire.swallow_replies = True
        await transaction.rollback()
        await eventually(lambda: watcher.fetchval(_WRITTEN, "x"), bool, within=20)
        await watcher.close()
        yield
    finally:
        await connection.close()
        if sending is not None:
            status, answer = await sending
            assert (status, answer["code"]) == (503, "outcome_unknown")


async def shown(node: InProcessNode, name: str) -> tuple[int | None, str]:
    """(score, rank_state) at once."""
    status, board = await node.get("/api/scoreboard?limit=100")
    assert status == 200, board
    scores: dict[str, Any] = {row["username"]: row["score"] for row in board["rows"]}
    return scores.get(name), board["rank_state"]


def is_right(seen: tuple[int | None, str]) -> bool:
    return seen[0] == WORTH or seen[1] != "exact"


async def test_a_retry_elsewhere_is_seen_everywhere_at_once(scene: Scene) -> None:
    """The first node hears nothing more of its ledger: it can't bring the batch to the index."""
    token = await scene.first.token("ada")
    async with commit_in_doubt(scene.first, scene.to_ledger, scene.database_url, token):
        assert await shown(scene.third, "ada") == (None, "exact")
        status, receipt = await scene.second.complete(token, "x")
        assert (status, receipt["new_score"]) == (200, WORTH)
        assert await shown(scene.third, "ada") == (WORTH, "exact")
        assert await shown(scene.second, "ada") == (WORTH, "exact")


async def test_a_retry_at_a_node_that_lost_redis_is_seen_elsewhere_too(scene: Scene) -> None:
    """It can't bring the batch to the index either: it waits as long as the others need to read the journal."""
    token = await scene.first.token("ada")
    async with commit_in_doubt(scene.first, scene.to_ledger, scene.database_url, token):
        scene.to_redis.refuse = True
        scene.to_redis.cut()
        status, receipt = await scene.second.complete(token, "x")
        assert (status, receipt["new_score"]) == (200, WORTH)
        assert is_right(await shown(scene.third, "ada"))
        assert is_right(await shown(scene.second, "ada"))


@pytest.fixture
async def alone(settings: Settings, database_url: str) -> AsyncIterator[tuple[InProcessNode, FaultProxy]]:
    """A node whose index is in its own memory."""
    async with contextlib.AsyncExitStack() as stack:
        wire = await stack.enter_async_context(FaultProxy(_socket(database_url)).running())
        alone = replace(settings, database_url=through(wire, database_url))
        yield await stack.enter_async_context(running_node(alone)), wire
        wire.heal()


@pytest.mark.parametrize("retried", [True, False])
async def test_an_index_in_memory_holds_what_was_committed_in_doubt(
    alone: tuple[InProcessNode, FaultProxy], database_url: str, *, retried: bool
) -> None:
    """At once when a retry is acknowledged, and soon when no one retries.

    A node's journal leaves out its own batches, so the journal does not bring it.
    """
    node, wire = alone
    token = await node.token("ada")
    async with commit_in_doubt(node, wire, database_url, token):
        wire.heal()
    if retried:
        assert (await node.complete(token, "x"))[0] == 200
        assert await shown(node, "ada") == (WORTH, "exact")
    await eventually(lambda: shown(node, "ada"), lambda seen: seen == (WORTH, "exact"), within=10)


async def test_a_retry_of_what_is_in_the_index_brings_nothing(scene: Scene) -> None:
    """The usual double submit: the batch is found marked; and the second time it is not even looked up."""
    token = await scene.third.token("ada")
    assert (await scene.third.complete(token, "x"))[0] == 201
    before = (await scene.third.get("/api/scoreboard"))[1]["seq"]
    for _ in range(3):
        assert (await scene.second.complete(token, "x"))[0] == 200
    assert (await scene.third.get("/api/scoreboard"))[1]["seq"] == before
