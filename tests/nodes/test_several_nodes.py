"""Three nodes as processes under load, killed at random: the checker finds nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import aiohttp
import asyncpg
import pytest
from tests.nodes.scenario import Load, Screen, board, truth, verdict
from tests.support.polling import eventually
from tests.support.postgres import primary_and_standby
from tests.support.redis import RedisServer
from tests.support.server import LaurelsServer

NODES = 3
PLAYERS = 16
ROUNDS = 2
ACTIONS = 12
SEED = 20_261_124


@pytest.fixture
async def nodes(own_redis: RedisServer, tmp_path: Path) -> AsyncIterator[tuple[list[LaurelsServer], str]]:
    """Three `laurels serve` over one PostgreSQL with a replica and one Redis; and the ledger's address."""
    with contextlib.ExitStack() as stack:
        pair = await asyncio.to_thread(stack.enter_context, primary_and_standby())
        primary, standby = pair
        connection = await asyncpg.connect(primary.url)
        await connection.execute("CREATE DATABASE several")
        await connection.close()
        servers = [
            LaurelsServer(
                primary.database("several"),
                tmp_path / f"node-{number}.log",
                REDIS_URL=own_redis.url,
                REPLICA_URLS=standby.database("several"),
            )
            for number in range(NODES)
        ]
        try:
            await asyncio.to_thread(servers[0].start)
            await asyncio.gather(*(asyncio.to_thread(server.start) for server in servers[1:]))
            yield servers, primary.database("several")
        finally:
            await asyncio.gather(*(asyncio.to_thread(server.kill) for server in servers))


async def test_three_nodes_under_kills_keep_every_promise(nodes: tuple[list[LaurelsServer], str]) -> None:
    """Check that what was acknowledged is in the ledger once; scores are its fold; indexes and screens are its sort.

    The same players play on all nodes at once, every tenth identifier on all three; what a killed node left
    unanswered is sent again elsewhere.
    """
    servers, database_url = nodes
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        load = Load(http, [server.url for server in servers], SEED)
        await load.register(PLAYERS)
        screens = [Screen(server.url) for server in servers]
        watching = [asyncio.create_task(screen.watch()) for screen in screens]
        try:
            for _ in range(ROUNDS):
                await _round_with_a_kill(load, servers)
            await load.settle()
            await _until_quiet(http, servers, screens, database_url)
            boards = {server.url: (await board(http, server.url))[0] for server in servers}
            boards |= {f"screen on {screen.url}": screen.rows for screen in screens}
            assert await verdict(load, database_url, boards) == []
            assert load.statuses[0], "no request met a dead node: the kills proved nothing"
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)


async def _round_with_a_kill(load: Load, servers: list[LaurelsServer]) -> None:
    """Kill one node when a third of the round is answered, start it again while the rest plays on."""
    before = _told(load)
    playing = asyncio.create_task(load.play(ACTIONS))
    while _told(load) < before + PLAYERS * ACTIONS // 3 and not playing.done():  # noqa: ASYNC110  the load runs on
        await asyncio.sleep(0.005)
    victim = load.random.choice(servers)
    await asyncio.to_thread(victim.kill)
    await asyncio.to_thread(victim.start)
    await playing


def _told(load: Load) -> int:
    return sum(len(player.told) for player in load.players)


async def _until_quiet(
    http: aiohttp.ClientSession, servers: list[LaurelsServer], screens: list[Screen], database_url: str
) -> None:
    """Wait until nodes and screens show what the ledger holds; the checker then says where it is not."""
    _, standings = await truth(database_url)
    ordered = sorted(standings, key=lambda one: one.order)
    wanted = [(one.user, one.score, rank) for rank, one in enumerate(ordered, 1)]
    with contextlib.suppress(AssertionError):
        for server in servers:
            await eventually(partial(board, http, server.url), lambda seen: seen == (wanted, "exact"), within=15)
        for screen in screens:
            await eventually(partial(_rows, screen), lambda rows: rows == wanted[:10], within=30)


async def _rows(screen: Screen) -> list[tuple[str, int, int]]:
    return screen.rows
