"""Sockets per user, counted over all nodes: never more than the limit for long, and nothing is held by the dead."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest
from tests.live.screens import open_screen
from tests.support.node import running_node
from tests.support.polling import eventually
from tests.support.redis import RedisServer

from laurels.config import Settings
from laurels.domain.errors import LaurelsError
from laurels.live.connection_limits import ConnectionLimits
from laurels.live.protocol import Close
from laurels.live.user_sockets import SharedUserSockets
from laurels.redis_store import RedisStore, RedisUnavailable, leases, parse_address
from laurels.redis_store.leases import SocketLeases

LIMIT = 3
USER = 7


@dataclass
class OneNode:
    """The share of a node: seats, and which users had to give some back."""

    connection_limits: ConnectionLimits
    sockets: SharedUserSockets = field(init=False)
    closed: list[tuple[int, int]] = field(default_factory=list)

    async def take(self, count: int) -> int:
        """Try to open so many, then share; how many were accepted at the handshake."""
        accepted = 0
        for _ in range(count):
            with contextlib.suppress(LaurelsError):
                self.connection_limits.acquire_user(USER)
                accepted += 1
        await self.sockets.sync()
        return accepted


@pytest.fixture
async def nodes(own_redis: RedisServer) -> AsyncIterator[list[OneNode]]:
    store = RedisStore(parse_address(own_redis.url), "test")
    found = []
    for name in "abc":
        node = OneNode(ConnectionLimits(limit=100, per_address=100, per_user=LIMIT))

        def keep_oldest(user_id: int, count: int, node: OneNode = node) -> None:
            node.closed.append((user_id, count))
            while node.connection_limits.counts()[user_id] > count:
                node.connection_limits.release_user(user_id)

        node.sockets = SharedUserSockets(SocketLeases(store, "sockets", name), node.connection_limits, keep_oldest)
        await node.sockets.sync()
        found.append(node)
    yield found
    await store.close()


def held(nodes: list[OneNode]) -> list[int]:
    return [node.connection_limits._users[USER] for node in nodes]


async def test_nothing_stays_in_redis_after_the_last_node(nodes: list[OneNode], own_redis: RedisServer) -> None:
    """Every key expires unless a node renews it."""
    assert await nodes[0].take(1) == 1
    async with own_redis.client() as redis:
        lives = {key: await redis.pttl(key) for key in await redis.keys()}
    assert len(lives) == 2
    assert all(life > 0 for life in lives.values()), lives


async def test_what_one_node_holds_the_others_count(nodes: list[OneNode]) -> None:
    a, b, _ = nodes
    assert await a.take(2) == 2
    assert await b.take(1) == 1  # now it knows of the two
    assert await b.take(1) == 0
    assert held(nodes) == [2, 1, 0]
    assert not a.closed + b.closed
    a.connection_limits.release_user(USER)
    await a.sockets.sync()
    assert await b.take(1) == 0  # not known yet; but who is refused is looked up
    assert await b.take(1) == 1
    assert held(nodes) == [1, 2, 0]


async def test_a_burst_on_all_nodes_at_once_is_cut_to_the_limit(nodes: list[OneNode]) -> None:
    """Each accepts what it may by itself; the node that reports later closes its newest."""
    for node in nodes:
        for _ in range(LIMIT):
            node.connection_limits.acquire_user(USER)
    await asyncio.gather(*(node.sockets.sync() for node in nodes))
    assert sum(held(nodes)) == LIMIT
    for node in nodes:
        await node.sockets.sync()
        with pytest.raises(LaurelsError):
            node.connection_limits.acquire_user(USER)


async def test_a_node_that_died_holds_nothing_after_its_lease(
    nodes: list[OneNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, _ = nodes
    monkeypatch.setattr(leases, "LEASE_SECONDS", 0.2)
    await a.take(LIMIT)
    monkeypatch.undo()

    async def taken() -> int:
        return await b.take(1)

    await eventually(taken, lambda accepted: accepted == 1 and b.connection_limits._users[USER] == 1)
    assert await b.take(LIMIT) == LIMIT - 1
    # The dead one was only paused: it learns at its next call, and closes what is too much.
    a.sockets._renew_at = 0.0
    await a.sockets.sync()
    await a.sockets.sync()
    assert held(nodes) == [0, LIMIT, 0]


async def test_an_emptied_redis_is_told_everything_again(nodes: list[OneNode], own_redis: RedisServer) -> None:
    a, b, _ = nodes
    await a.take(2)
    own_redis.flush()
    a.sockets._renew_at = 0.0  # a second has passed
    for _ in range(2):
        await a.sockets.sync()
    await b.take(LIMIT)
    assert sum(held(nodes)) == LIMIT


async def test_without_redis_each_node_counts_by_itself(nodes: list[OneNode], own_redis: RedisServer) -> None:
    a, b, _ = nodes
    await a.take(LIMIT)
    await b.take(1)
    assert await b.take(1) == 0
    own_redis.kill()
    running = asyncio.create_task(b.sockets.run())
    b.connection_limits._note_change(USER)

    async def accepted() -> bool:
        with contextlib.suppress(LaurelsError):
            b.connection_limits.acquire_user(USER)
            return True
        return False

    await eventually(accepted, bool)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    with pytest.raises(RedisUnavailable):
        await b.take(1)


async def test_nothing_is_left_in_redis_of_who_left(nodes: list[OneNode], own_redis: RedisServer) -> None:
    a, *_ = nodes
    await a.take(2)
    for _ in range(2):
        a.connection_limits.release_user(USER)
    await a.sockets.sync()
    async with own_redis.client() as client:
        assert [key async for key in client.scan_iter("*")] == [b"laurels:{test.sockets}:nodes"]


async def counted(server: RedisServer) -> int:
    """Sockets that nodes have told Redis of: the node that tells later would close its newest."""
    async with server.client() as client:
        keys = [key async for key in client.scan_iter("*.sockets}:*") if not key.endswith(b":nodes")]
        return sum([int(count) for key in keys for count in await client.hvals(key)])


async def test_a_user_is_closed_at_one_node_for_what_another_holds(
    settings: Settings, redis_server: RedisServer
) -> None:
    """Over real sockets: the newest is closed with 4110, or refused so; the others stay."""
    shared = replace(settings, redis_url=redis_server.url, sockets_per_user=2)
    async with contextlib.AsyncExitStack() as stack:
        here, there = [await stack.enter_async_context(running_node(shared)) for _ in range(2)]
        token = await here.token("ada")
        screens = []
        for node in (here, here, there):
            screen = await stack.enter_async_context(open_screen(node))
            await screen.say("authenticate", token=token)
            screens.append(screen)
            if node is here:
                await screen.of_type("authenticated")
                await eventually(lambda: counted(redis_server), lambda count: count == len(screens))
        assert await screens[2].close_code() == Close.TOO_MANY_SOCKETS
        for screen in screens[:2]:
            assert (await screen.subscribe("board:points"))["type"] != "error"
