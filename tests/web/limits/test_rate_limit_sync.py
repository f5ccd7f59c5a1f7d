"""A rate holds over all nodes: what one granted, the others know, and what was too much is paid back."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.support.node import InProcessNode, running_node
from tests.support.polling import eventually
from tests.support.redis import RedisServer

from laurels.config import Settings
from laurels.redis_store import RedisStore, parse_address
from laurels.web.limits.rate_limit import MINUTE, RateLimit
from laurels.web.limits.rate_limit_sync import RateLimitSync

LIMIT = 10


@pytest.fixture
async def store(redis_server: RedisServer) -> AsyncIterator[RedisStore]:
    store = RedisStore(parse_address(redis_server.url), "test")
    yield store
    await store.close()


def granted(limit: RateLimit, key: str, times: int) -> int:
    return sum(not limit.hit(key, time.monotonic()).refused for _ in range(times))


async def test_what_one_node_granted_the_other_does_not_grant_again(store: RedisStore) -> None:
    first, second = RateLimit("user", LIMIT), RateLimit("user", LIMIT)
    nodes = [RateLimitSync(store, [first]), RateLimitSync(store, [second])]
    assert granted(first, "ada", 7) == 7
    await nodes[0].sync()
    assert granted(second, "ada", 1) == 1  # the first hit is granted unseen; then it learns
    await nodes[1].sync()
    assert granted(second, "ada", 10) == LIMIT - 8


async def test_a_burst_on_all_nodes_at_once_is_paid_back(store: RedisStore) -> None:
    """Three nodes each grant a whole allowance before they synchronise: then two more minutes are used."""
    limits = [RateLimit("login", LIMIT) for _ in range(3)]
    nodes = [RateLimitSync(store, [limit]) for limit in limits]
    assert sum(granted(limit, "a", 20) for limit in limits) == 3 * LIMIT
    for _ in range(2):
        for node, limit in zip(nodes, limits, strict=True):
            limit._pending.setdefault("a", 0.0)
            await node.sync()
    for limit in limits:
        answer = limit.hit("a", time.monotonic())
        assert answer.remaining == 0
        assert answer.retry_after is not None
        assert 1.9 * MINUTE < answer.retry_after < 2.2 * MINUTE


async def test_a_refund_after_the_sync_is_synchronised_too(store: RedisStore) -> None:
    """A log-in that succeeds takes longer than the nodes need to tell each other of it."""
    first, second = RateLimit("account", LIMIT), RateLimit("account", LIMIT)
    nodes = [RateLimitSync(store, [first]), RateLimitSync(store, [second])]
    assert granted(first, "given-back", 5) == 5
    await nodes[0].sync()
    first.refund("given-back", 5)
    await nodes[0].sync()
    assert granted(second, "given-back", 1) == 1
    await nodes[1].sync()
    assert second.hit("given-back", time.monotonic()).remaining == LIMIT - 2


async def test_many_keys_are_told_in_short_calls(store: RedisStore) -> None:
    limit, other = RateLimit("address", LIMIT), RateLimit("address", LIMIT)
    telling, told = RateLimitSync(store, [limit]), RateLimitSync(store, [other])
    for key in range(1_200):
        limit.hit(key, time.monotonic())
    await telling.sync()
    for key in range(1_200):
        other.hit(key, time.monotonic())
    await told.sync()
    assert {other.hit(key, time.monotonic()).remaining for key in range(1_200)} == {LIMIT - 3}


async def test_without_redis_each_process_limits_and_says_so(settings: Settings, own_redis: RedisServer) -> None:
    """Requests go on, still limited; the node names what it lacks, and shares again by itself."""
    limited = replace(settings, redis_url=own_redis.url, address_rate=5)
    async with contextlib.AsyncExitStack() as stack:
        node = await stack.enter_async_context(running_node(limited))
        await eventually(lambda: _lacks(node), lambda lacks: not any("limits" in lack for lack in lacks), within=10)
        await asyncio.to_thread(own_redis.kill)
        statuses = [(await node.get("/api/boards"))[0] for _ in range(6)]
        assert statuses == [200] * 5 + [429]
        await eventually(lambda: _lacks(node), lambda lacks: any("limits" in lack for lack in lacks))
        await asyncio.to_thread(own_redis.start)
        assert (await node.get("/readyz"))[0] == 200
        await eventually(lambda: _lacks(node), lambda lacks: not any("limits" in lack for lack in lacks), within=10)


async def _lacks(node: InProcessNode) -> list[str]:
    status, body = await node.get("/readyz")
    assert status == 200
    return body["degraded"]
