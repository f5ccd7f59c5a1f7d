"""Calls to Redis end in time, are made once unless they may be made twice, and fail as RedisAway."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError as ConnectionBroken
from tests.support.fault_proxy import FaultProxy
from tests.support.polling import eventually
from tests.support.redis import RedisServer, SlowDoor

from laurels.concurrency.circuit_breaker import CircuitBreaker
from laurels.redis_store import RedisStore, RedisUnavailable, RedisUnusable, parse_address
from laurels.redis_store.store import Client


@pytest.fixture
async def store(own_redis: RedisServer) -> AsyncIterator[RedisStore]:
    store = RedisStore(parse_address(own_redis.url), "test")
    yield store
    await store.close()


async def test_a_redis_that_died_is_away_and_comes_back_by_itself(store: RedisStore, own_redis: RedisServer) -> None:
    await store.check()
    own_redis.kill()
    for _ in range(3):
        with pytest.raises(RedisUnavailable):
            await store.call(lambda redis: redis.incr("n"))
    assert store.breaker.state == "open"
    own_redis.start()

    async def answers() -> bool:
        try:
            return bool(await store.call(lambda redis: redis.ping()))
        except RedisUnavailable:
            return False

    await eventually(answers, bool)
    assert store.breaker.state == "closed"


async def test_a_paused_redis_is_away_within_the_deadline(store: RedisStore, own_redis: RedisServer) -> None:
    await store.call(lambda redis: redis.ping())
    own_redis.pause()
    with pytest.raises(RedisUnavailable):
        await asyncio.wait_for(store.call(lambda redis: redis.incr("n")), 5)
    own_redis.resume()


async def test_a_lost_reply_is_asked_for_again_only_where_that_is_harmless(store: RedisStore) -> None:
    made: list[None] = []

    async def lost(_: object) -> None:
        made.append(None)
        raise ConnectionBroken("closed before the reply")

    with pytest.raises(RedisUnavailable):
        await store.call(lost)
    assert len(made) == 1
    with pytest.raises(RedisUnavailable):
        await store.call(lost, idempotent=True)
    assert len(made) == 3


async def test_a_full_redis_is_away_for_writes(store: RedisStore, own_redis: RedisServer) -> None:
    own_redis.configure("maxmemory", "1")
    with pytest.raises(RedisUnavailable, match="memory"):
        await store.call(lambda redis: redis.set("a", "b"))


async def test_more_calls_than_connections_wait_their_turn(own_redis: RedisServer) -> None:
    async with SlowDoor(own_redis, 0.01) as door:
        store = RedisStore(parse_address(door.url), "test")
        answers = await asyncio.gather(*(store.call(lambda redis: redis.incr("n")) for _ in range(100)))
        await store.close()
    assert sorted(answers) == list(range(1, 101))


async def test_a_connection_that_was_reset_is_a_redis_that_is_away(own_redis: RedisServer) -> None:
    """Over TCP, whenever it is noticed: uvloop has an error of its own for a transport that it has closed."""
    async with FaultProxy(own_redis.socket).running() as wire:
        store = RedisStore(
            parse_address(f"redis://127.0.0.1:{wire.port}"), "test", breaker=CircuitBreaker("test", failures=1_000)
        )

        async def increment(client: Client) -> list[int]:
            pipe = client.pipeline(transaction=False)
            pipe.incr("n")
            return list(await pipe.execute())

        for turns in range(60):
            with contextlib.suppress(RedisUnavailable):
                await store.call(increment)
            wire.cut()
            for _ in range(turns % 12):
                await asyncio.sleep(0)
        await store.close()


async def test_a_wrong_password_is_said_without_showing_it(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, requirepass="right")
    server.start()
    store = RedisStore(parse_address(f"unix://:mistaken@{server.socket}"), "test")
    try:
        with pytest.raises(RedisUnusable, match="password") as refusal:
            await store.check()
    finally:
        await store.close()
        server.kill()
    assert "mistaken" not in str(refusal.value)


async def test_a_call_that_is_cancelled_ends_at_whatever_moment(store: RedisStore) -> None:
    """Background tasks end by cancellation: a library that swallows one keeps the node from stopping."""

    async def ask_for_ever() -> None:
        while True:
            await store.call(lambda redis: redis.ping())

    for turns in range(200):
        asking = asyncio.create_task(ask_for_ever())
        for _ in range(turns % 20):
            await asyncio.sleep(0)
        asking.cancel()
        done, _ = await asyncio.wait({asking}, timeout=5)
        assert done, f"cancelled after {turns % 20} turns of the loop, it went on"
