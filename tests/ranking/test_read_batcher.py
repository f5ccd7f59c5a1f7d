"""Questions that leave together: each answered as if it were alone, and not later than a call may take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.support.redis import RedisServer

from laurels.domain.boards import Board, Window
from laurels.domain.calendars import ALL_TIME
from laurels.domain.standings import Standing
from laurels.ranking.redis_index.read_batcher import MAX_WAITING, READS_PER_CALL
from laurels.ranking.redis_index.scripts import IndexGone
from laurels.ranking.redis_index.windows import IndexGeneration, RedisWindows, WindowChanges
from laurels.redis_store import RedisStore, RedisUnavailable, parse_address

LIFE = IndexGeneration(Window(1, Board(1, "b", "B"), ALL_TIME), "e")
GONE = IndexGeneration(Window(2, LIFE.window.board, ALL_TIME), "e")
PEOPLE = range(1, 201)


@pytest.fixture
async def windows(own_redis: RedisServer) -> AsyncIterator[RedisWindows]:
    store = RedisStore(parse_address(own_redis.url), "test")
    windows = RedisWindows(store)
    await windows.create(LIFE, 0)
    await windows.upsert(LIFE, {user: Standing(user, user, 1) for user in PEOPLE})
    yield windows
    await store.close()


async def test_who_asks_at_once_shares_round_trips_and_gets_the_own_answer(
    windows: RedisWindows, own_redis: RedisServer
) -> None:
    """Two hundred questions about different people, and as many equal ones, which are asked once."""
    await asyncio.gather(windows.position(LIFE), windows.places(LIFE, [1]))  # the scripts are there
    before = await _scripts_run(own_redis)
    asked = [windows.places(LIFE, [user]) for user in PEOPLE]
    equal = [windows.position(LIFE) for _ in range(READS_PER_CALL)]
    rankings = await asyncio.gather(*asked)
    assert [ranking.places[0].rank for ranking in rankings] == [201 - user for user in PEOPLE]
    assert len(set(await asyncio.gather(*equal))) == 1
    assert await _scripts_run(own_redis) - before == len(PEOPLE) + 1


async def test_an_answer_is_not_older_than_its_question(windows: RedisWindows) -> None:
    """A client that learnt of a change finds it, however many questions are in flight."""

    async def read_on(stop: asyncio.Event) -> None:
        while not stop.is_set():
            await windows.places(LIFE, [1])

    stop = asyncio.Event()
    readers = [asyncio.create_task(read_on(stop)) for _ in range(20)]
    for version in range(2, 60):
        (shift,) = await windows.apply([WindowChanges(LIFE, {5: Standing(1_000 + version, 1, version)})], version)
        assert not isinstance(shift, IndexGone)
        position, ranking = await asyncio.gather(windows.position(LIFE), windows.places(LIFE, [5]))
        assert position.seq >= shift.seq
        assert ranking.places[0].score == 1_000 + version
    stop.set()
    await asyncio.gather(*readers)


async def test_a_window_that_is_gone_does_not_spoil_the_others(windows: RedisWindows) -> None:
    answers = await asyncio.gather(
        windows.position(LIFE), windows.position(GONE), windows.places(LIFE, [7]), return_exceptions=True
    )
    assert [isinstance(answer, IndexGone) for answer in answers] == [False, True, False]


async def test_who_gives_up_does_not_disturb_who_waits(windows: RedisWindows) -> None:
    waiting = [asyncio.create_task(windows.places(LIFE, [user])) for user in PEOPLE]
    await asyncio.sleep(0)
    for task in waiting[::2]:
        task.cancel()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(answer, asyncio.CancelledError) for answer in answers[::2])
    assert not any(isinstance(answer, BaseException) for answer in answers[1::2])


async def test_everybody_who_waits_for_a_silent_redis_is_told(windows: RedisWindows, own_redis: RedisServer) -> None:
    """Also who would have gone with the next call, and at once who would be too many. Later it is asked again."""
    own_redis.pause()
    try:
        waiting = [asyncio.create_task(windows.places(LIFE, [user])) for user in range(MAX_WAITING + READS_PER_CALL)]
        await asyncio.sleep(0)
        with pytest.raises(RedisUnavailable, match="too many"):
            await windows.position(LIFE)
        answers = await asyncio.gather(*waiting, return_exceptions=True)
    finally:
        own_redis.resume()
    assert all(isinstance(answer, RedisUnavailable) for answer in answers)
    assert (await windows.position(LIFE)).seq


async def _scripts_run(server: RedisServer) -> int:
    async with server.client() as client:
        return int((await client.info("commandstats"))["cmdstat_evalsha"]["calls"])
