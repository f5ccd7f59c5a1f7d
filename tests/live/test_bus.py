"""Nodes hear of each other through a real Redis, and know when they don't."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
from tests.support.polling import eventually
from tests.support.redis import RedisServer

from laurels.domain.boards import Board, Window
from laurels.domain.calendars import Span
from laurels.live.bus import Bus, BusListener
from laurels.ranking.projection_types import WindowChanged
from laurels.redis_store import RedisStore, parse_address

BOARD = Board(
    id=1, slug="points", name="Points", order="desc", aggregate="sum", ties="ordinal",
    is_default=True, action_types=None, daily_points_cap=None,
)  # fmt: skip
WINDOW = Window(1, BOARD, Span(None, None))


@dataclass
class Heard:
    """The messages that one node received."""

    tops: list[str] = field(default_factory=list)
    news: int = 0
    again: int = 0
    takes: bool = True

    def listener(self) -> BusListener:
        return BusListener(self.tops.append, self._ring, self._look_again)

    def _ring(self, taken: Callable[[], None]) -> None:
        self.news += 1
        if self.takes:
            taken()

    def _look_again(self) -> None:
        self.again += 1


@contextlib.asynccontextmanager
async def listening(server: RedisServer, node: str) -> AsyncIterator[tuple[Bus, Heard]]:
    heard = Heard()
    store = RedisStore(parse_address(server.url), "test")
    bus = Bus(store, node, heard.listener())
    running = asyncio.create_task(bus.run())
    try:
        await eventually(_asked(lambda: bus.is_up), bool)
        yield bus, heard
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await store.close()


def _asked(look):
    async def ask():
        return look()

    return ask


def moved(seq: int, epoch: str = "life") -> WindowChanged:
    return WindowChanged(WINDOW, epoch, seq, top=True)


async def test_others_hear_of_a_moved_top_and_of_news_and_the_sender_does_not(redis_server: RedisServer) -> None:
    async with listening(redis_server, "a") as (a, of_a), listening(redis_server, "b") as (_, of_b):
        a.on_window_changed(moved(1))
        await a.wait_for_propagation()
        await eventually(_asked(lambda: (of_b.tops, of_b.news)), lambda seen: seen == (["points"], 1))
        assert (of_a.tops, of_a.news) == ([], 0)


async def test_an_old_seq_is_dropped_and_another_life_is_news(redis_server: RedisServer) -> None:
    """Two nodes tell of the same window: what is older than what was heard says nothing."""
    async with (
        listening(redis_server, "a") as (a, _),
        listening(redis_server, "b") as (b, of_b),
        listening(redis_server, "c") as (_, of_c),
    ):
        a.on_window_changed(moved(7))
        await eventually(_asked(lambda: len(of_b.tops)), lambda count: count == 1)
        b.on_window_changed(moved(5))
        b.on_window_changed(moved(5, "another life"))
        await eventually(_asked(lambda: len(of_c.tops)), lambda count: count == 2)
        await b.wait_for_propagation()
        await eventually(_asked(lambda: of_c.news), bool)
        assert len(of_c.tops) == 2, "seq 5 of the same life is old"


async def test_the_latest_wins_when_redis_is_slow(redis_server: RedisServer) -> None:
    """While nothing can be sent, one message per window is kept, whatever happens."""
    async with listening(redis_server, "a") as (a, _), listening(redis_server, "b") as (_, of_b):
        for seq in range(1, 10_001):
            a.on_window_changed(moved(seq))
        assert len(a._pending) <= 3
        await eventually(_asked(lambda: of_b.tops), bool)
        assert len(of_b.tops) <= 3


async def test_strangers_bytes_are_no_message(redis_server: RedisServer) -> None:
    async with listening(redis_server, "a") as (a, _), listening(redis_server, "b") as (b, of_b):
        client = redis_server.client()
        await client.publish(b.channel, b"\xc1 not ours")
        await client.aclose()
        await a.wait_for_propagation()
        await eventually(_asked(lambda: of_b.news), bool)


@pytest.mark.parametrize("fault", ["kill", "pause"])
async def test_a_lost_redis_is_noticed_and_what_was_missed_is_read_again(own_redis: RedisServer, fault: str) -> None:
    """Down within seconds; meanwhile boards are read again every second; back by itself, and all is read again."""
    async with listening(own_redis, "a") as (a, of_a):
        own_redis.kill() if fault == "kill" else own_redis.pause()
        await eventually(_asked(a.degraded_reasons), bool, within=6)
        before = of_a.again
        await eventually(_asked(lambda: of_a.again), lambda count: count > before, within=3)
        own_redis.start() if fault == "kill" else own_redis.resume()
        await eventually(_asked(lambda: a.is_up), bool, within=10)
        assert a.degraded_reasons() == []


async def test_every_subscription_reads_everything_again(redis_server: RedisServer) -> None:
    """The server cuts the connection, nothing more: what was sent in between is gone, so all is read again."""
    async with listening(redis_server, "a") as (_, of_a):
        before = of_a.again
        client = redis_server.client()
        await client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        await client.aclose()
        await eventually(_asked(lambda: of_a.again), lambda count: count > before)
