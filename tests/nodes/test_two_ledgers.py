"""Two deployments on one Redis database, each with a ledger of its own: nothing of one reaches the other."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial

import asyncpg
import pytest
from tests.support.node import InProcessNode, running_node
from tests.support.polling import eventually
from tests.support.redis import RedisServer

from laurels.config import Settings
from laurels.ledger.db import pool as ledger_pool
from laurels.ledger.db.ledger_id import read_ledger_id

RATE = 8


@pytest.fixture
async def other_url(postgres: str) -> AsyncIterator[str]:
    """A second ledger, copied from the same template: window ids, user ids and the stored id are equal."""
    admin = await asyncpg.connect(postgres)
    await admin.execute("CREATE DATABASE neighbour TEMPLATE laurels_template STRATEGY file_copy")
    yield postgres.replace("/postgres?", "/neighbour?")
    await admin.execute("DROP DATABASE neighbour WITH (FORCE)")
    await admin.close()


@pytest.fixture
async def nodes(
    settings: Settings, other_url: str, redis_server: RedisServer
) -> AsyncIterator[tuple[InProcessNode, InProcessNode]]:
    shared = replace(settings, redis_url=redis_server.url)
    async with contextlib.AsyncExitStack() as stack:
        here = await stack.enter_async_context(running_node(shared))
        there = await stack.enter_async_context(running_node(replace(shared, database_url=other_url)))
        for node in (here, there):
            await eventually(partial(node.get, "/readyz"), lambda told: not told[1]["degraded"], within=20)
        yield here, there


async def names(server: RedisServer) -> set[str]:
    async with server.client() as client:
        return {key.decode() async for key in client.scan_iter("*")}


async def test_every_key_and_channel_carries_the_ledgers_id(
    nodes: tuple[InProcessNode, InProcessNode], redis_server: RedisServer
) -> None:
    ids = [await read_ledger_id(node.services.pool) for node in nodes]
    assert ids[0] != ids[1]
    for node in nodes:
        assert (await node.complete(await node.token("ada"), "x"))[0] == 201
    async with redis_server.client() as client:
        channels = [channel.decode() for channel in await client.pubsub_channels("*")]
    used = await names(redis_server) | set(channels)
    assert {name[: len("laurels:{") + 17] for name in used} == {f"laurels:{{{ledger}." for ledger in ids}
    assert len(channels) == len(nodes)


async def test_ranks_limits_and_news_of_one_do_not_reach_the_other(nodes: tuple[InProcessNode, InProcessNode]) -> None:
    here, there = nodes
    here.services.pipeline.limits.address.set_rate(RATE)
    there.services.pipeline.limits.address.set_rate(RATE)
    token = await here.token("ada")
    assert (await here.complete(token, "x"))[1]["rank"] == 1
    assert [row["username"] for row in (await here.get("/api/scoreboard"))[1]["rows"]] == ["ada"]

    async def spent() -> int:
        return (await here.get("/api/boards"))[0]

    await eventually(spent, lambda status: status == 429)
    for node in nodes:
        assert node.parts.shared_limits is not None
        await node.parts.shared_limits.sync()
    status, board = await there.get("/api/scoreboard")
    assert (status, board["rows"], board["total_users"], board["rank_state"]) == (200, [], 0, "exact")
    assert (await there.get("/api/boards"))[0] == 200
    assert not there.parts.bus._last_heard
    assert not here.parts.bus._last_heard


async def test_the_id_stays_over_restarts_and_differs_for_copies(database_url: str, other_url: str) -> None:
    async def told(url: str) -> str:
        pool = await ledger_pool.connect(url, size=2)
        try:
            return await read_ledger_id(pool)
        finally:
            await ledger_pool.close(pool)

    assert await told(database_url) == await told(database_url)
    assert await told(database_url) != await told(other_url)
