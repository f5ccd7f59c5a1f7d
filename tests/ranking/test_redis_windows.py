"""The index in Redis: the common behaviour, what a batch reports, and no answer from what is not wholly there."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Collection, Coroutine
from typing import Any

import pytest
from hypothesis.stateful import rule, run_state_machine_as_test
from tests.ranking.behaviour import PEOPLE, Batch, IndexBehaviour, examples, told
from tests.ranking.model import Model
from tests.support.redis import RedisServer

from laurels.domain.boards import ALL_TIME, Board, Window
from laurels.domain.standings import Standing
from laurels.ranking.index import MAX_TOP, Place, Position, Ranking, Shift
from laurels.ranking.redis import Changes, Life, RedisWindows
from laurels.ranking.scripts import IndexGone
from laurels.shared import RedisAway, Store, parse_address

_numbers = itertools.count(1)
WINDOW = Window(1, Board(1, "b", "B"), ALL_TIME)


class OneLife:
    """An index of windows that are all in one life."""

    def __init__(self, windows: RedisWindows, life: Life) -> None:
        self.windows, self.life = windows, life

    async def position(self, _: Window) -> Position:
        return await self.windows.position(self.life)

    async def top(self, _: Window, size: int) -> Ranking:
        return await self.windows.top(self.life, size)

    async def around(self, _: Window, user_id: int, radius: int) -> Ranking:
        return await self.windows.around(self.life, user_id, radius)

    async def places(self, _: Window, user_ids: Collection[int]) -> Ranking:
        return await self.windows.places(self.life, user_ids)

    async def place_of(self, _: Window, user_id: int, standing: Standing) -> Place:
        return await self.windows.place_of(self.life, user_id, standing)


class RedisMachine(IndexBehaviour):
    runner: asyncio.Runner
    windows: RedisWindows

    def open_window(self, order: str, ties: str) -> None:
        self.window = Window(next(_numbers), Board(1, "b", "B", order=order, ties=ties), ALL_TIME)
        self.life = Life(self.window, "e")
        self.wait(self.windows.open(self.life, 100))
        self.seq = 100
        self.index = OneLife(self.windows, self.life)

    def take(self, batch: Batch) -> None:
        """The ranks before and after that a batch reports are those of the model before and after; seq grows by 1.

        Of a change that is there already no rank before is told.
        """
        held = self.model.standings
        repeated = {user for user, one in batch.items() if user in held and held[user].version == one.version}
        before = {user: None if user in repeated else self.model.rank(user) for user in PEOPLE}
        (shift,) = self.wait(self.windows.take([Changes(self.life, batch, PEOPLE)], 5))
        self.model.apply(list(batch.items()))
        self.seq += shift.news
        assert shift.seq == self.seq
        assert shift.total == len(self.model.rows())
        assert shift.repeated == repeated
        assert shift.ranks == {user: (before[user], self.model.rank(user)) for user in PEOPLE}

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    @rule()
    def rebuild(self) -> None:
        """Pouring all standings into another life gives the same order, also over what is there already."""
        other = Life(self.window, "f")
        self.wait(self.windows.open(other, self.seq))
        shown = {user: s for user, s in self.model.standings.items() if not s.hidden}
        for _ in range(2):
            self.wait(self.windows.pour(other, shown))
        mine, theirs = (self.wait(self.windows.top(life, 100)) for life in (self.life, other))
        assert told(mine.places) == told(theirs.places)

    @rule()
    def compared(self) -> None:
        """What a comparison with the ledger reads is what was applied."""
        shown = {user: s for user, s in self.model.standings.items() if not s.hidden}
        assert self.wait(_all(self.windows, self.life)) == shown
        assert self.wait(self.windows.held(self.life, PEOPLE)) == shown
        assert self.wait(self.windows.count(self.life)) == len(shown)
        assert set(self.wait(self.windows.sample(self.life, 50))) == set(shown)


async def _all(windows: RedisWindows, life: Life) -> dict[int, Standing]:
    found: dict[int, Standing] = {}
    async for page in windows.members(life):
        found.update(page)
    return found


def test_redis_answers_as_a_sorted_list_would(redis_server: RedisServer) -> None:
    with asyncio.Runner() as runner:
        store = runner.run(_store(redis_server))
        RedisMachine.runner, RedisMachine.windows = runner, RedisWindows(store)
        run_state_machine_as_test(RedisMachine, settings=examples(40))
        runner.run(store.close())


async def _store(server: RedisServer) -> Store:
    return Store(parse_address(server.url), "test")


@pytest.fixture
async def windows(own_redis: RedisServer) -> AsyncIterator[RedisWindows]:
    store = await _store(own_redis)
    yield RedisWindows(store)
    await store.close()


async def _built(windows: RedisWindows, ties: str = "ordinal") -> Life:
    life = Life(Window(1, Board(1, "b", "B", ties=ties), ALL_TIME), "e")
    await windows.open(life, 0)
    await windows.pour(life, {user: Standing(user % 7, user, 1) for user in range(1, 2_001)}, [1, 2])
    return life


async def test_a_restarted_redis_is_not_trusted(windows: RedisWindows, own_redis: RedisServer) -> None:
    """Also when it kept everything on disk: it may have missed what came last."""
    life = await _built(windows)
    async with own_redis.client() as client:
        await client.save()
    own_redis.kill()
    own_redis.start()
    async with own_redis.client() as client:
        assert await client.exists(windows.keys(life.window.id, life.epoch)[0])
    with pytest.raises(IndexGone):
        await windows.top(life, 10)


@pytest.mark.parametrize("lost", ["order", "users", "scores", "counts", "state"])
async def test_a_redis_that_lost_a_key_is_not_trusted(windows: RedisWindows, own_redis: RedisServer, lost: str) -> None:
    """Neither for reading nor for writing: half an index would rank wrongly."""
    life = await _built(windows, ties="dense")
    async with own_redis.client() as client:
        await client.delete(next(key for key in windows.keys(life.window.id, life.epoch) if key.endswith(lost)))
    with pytest.raises(IndexGone):
        await windows.position(life)
    (shift,) = await windows.take([Changes(life, {1: Standing(1, 1, 9)})], 3)
    assert isinstance(shift, IndexGone)


async def test_a_lost_window_does_not_stop_another(windows: RedisWindows) -> None:
    life = await _built(windows)
    lost = Life(Window(2, WINDOW.board, ALL_TIME), "e")
    change = {5: Standing(1_000, 1, 2)}
    gone, shift = await windows.take([Changes(lost, change), Changes(life, change)], 3)
    assert isinstance(gone, IndexGone)
    assert isinstance(shift, Shift)
    assert shift.ranks[5][1] == 1


async def test_batches_are_remembered(windows: RedisWindows) -> None:
    """Also those that changed nothing, and those that came late."""
    life = await _built(windows)
    await windows.take([Changes(life, {})], 7)
    assert await windows.unmarked(life, [1, 2, 3, 7, 8]) == {3, 8}


async def test_a_full_redis_refuses_a_batch_whole_and_goes_on_answering(
    windows: RedisWindows, own_redis: RedisServer
) -> None:
    life = await _built(windows)
    own_redis.configure("maxmemory", "1")
    with pytest.raises(RedisAway, match="memory"):
        await windows.take([Changes(life, {1: Standing(999, 1, 9)})], 3)
    assert (await windows.top(life, 1)).places[0].score == 6
    own_redis.configure("maxmemory", "0")
    assert await windows.unmarked(life, [3]) == {3}


async def test_scripts_that_redis_forgot_are_loaded_again(windows: RedisWindows, own_redis: RedisServer) -> None:
    life = await _built(windows)
    async with own_redis.client() as client:
        await client.script_flush()
    change = {1: Standing(999, 1, 9)}
    shifts = await windows.take([Changes(life, change), Changes(life, change)], 3)
    assert [shift.news for shift in shifts if isinstance(shift, Shift)] == [True, False]


SHARED_DOUBLES = [2**53 + n for n in range(-2, 6)] + [2**60 + n for n in range(40)] + [-(2**53), -(2**53) - 1]
"""Up to forty neighbours that Redis' scores can't tell apart."""


@pytest.mark.parametrize("order", ["desc", "asc"])
@pytest.mark.parametrize("ties", ["ordinal", "competition", "dense"])
async def test_scores_that_share_a_double_are_ranked_apart(windows: RedisWindows, order: str, ties: str) -> None:
    """Of who is on the board, and of who is not: before, between and behind those who are."""
    window = Window(1, Board(1, "b", "B", order=order, ties=ties), ALL_TIME)
    life, model, chance = Life(window, "e"), Model(window), random.Random(3)
    await windows.open(life, 0)
    batch = {user: Standing(chance.choice(SHARED_DOUBLES), chance.randint(0, 3), 1) for user in range(1, 121)}
    (shift,) = await windows.take([Changes(life, batch)], 1)
    model.apply(list(batch.items()))
    assert isinstance(shift, Shift)
    assert shift.ranks == {user: (None, rank) for rank, user, *_ in model.rows()}
    assert told((await windows.top(life, 100)).places) == model.rows()[:100]
    for score in SHARED_DOUBLES:
        standing = Standing(score, 2, 1)
        place = await windows.place_of(life, 60_000, standing)
        assert place.rank == model.with_one_more(60_000, standing).rank(60_000)


async def test_who_asks_for_no_ranks_is_told_whether_the_first_places_moved(windows: RedisWindows) -> None:
    """Never too little: whenever the first places, or how many there are, changed. And nothing of those far behind."""
    life, chance = await _built(windows), random.Random(5)
    far_behind = 0
    for version in range(2, 60):
        first = await windows.top(life, MAX_TOP)
        users = chance.sample(range(1, 2_200), 2)
        batch = {user: Standing(chance.randint(0, 7), user, version, chance.random() < 0.1) for user in users}
        (shift,) = await windows.take([Changes(life, batch, ranked=False)], version)
        assert isinstance(shift, Shift)
        assert shift.ranks == {}
        now = await windows.top(life, MAX_TOP)
        if (first.places, first.total) != (now.places, now.total):
            assert shift.top
        far_behind += not shift.top
    assert far_behind


async def test_a_copy_in_another_layout_is_not_read(windows: RedisWindows, own_redis: RedisServer) -> None:
    """A node of another release wrote it."""
    life = await _built(windows)
    async with own_redis.client() as client:
        await client.hdel(windows.keys(life.window.id, life.epoch)[5], "layout")
    with pytest.raises(IndexGone):
        await windows.top(life, 10)
