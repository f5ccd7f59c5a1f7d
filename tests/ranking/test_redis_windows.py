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

from laurels.domain.boards import Board, Ties, Window
from laurels.domain.calendars import ALL_TIME
from laurels.domain.standings import Order, Standing
from laurels.ranking.index import MAX_TOP, Place, Position, Ranking, Shift
from laurels.ranking.redis_index.scripts import IndexGone
from laurels.ranking.redis_index.windows import IndexGeneration, RedisWindows, WindowChanges
from laurels.redis_store import RedisStore, RedisUnavailable, parse_address

_numbers = itertools.count(1)
WINDOW = Window(1, Board(1, "b", "B"), ALL_TIME)


class OneLife:
    """An index of windows that are all in one life."""

    def __init__(self, windows: RedisWindows, generation: IndexGeneration) -> None:
        self.windows, self.generation = windows, generation

    async def position(self, _: Window) -> Position:
        return await self.windows.position(self.generation)

    async def top(self, _: Window, size: int) -> Ranking:
        return await self.windows.top(self.generation, size)

    async def around(self, _: Window, user_id: int, radius: int) -> Ranking:
        return await self.windows.around(self.generation, user_id, radius)

    async def page(self, _: Window, first: int, size: int) -> Ranking:
        return await self.windows.page(self.generation, first, size)

    async def after(self, _: Window, key: bytes, size: int) -> Ranking:
        return await self.windows.after(self.generation, key, size)

    async def places(self, _: Window, user_ids: Collection[int]) -> Ranking:
        return await self.windows.places(self.generation, user_ids)

    async def place_of(self, _: Window, user_id: int, standing: Standing) -> Place:
        return await self.windows.place_of(self.generation, user_id, standing)


class RedisMachine(IndexBehaviour):
    runner: asyncio.Runner
    windows: RedisWindows

    def open_window(self, order: Order, ties: Ties) -> None:
        self.window = Window(next(_numbers), Board(1, "b", "B", order=order, ties=ties), ALL_TIME)
        self.generation = IndexGeneration(self.window, "e")
        self.wait(self.windows.create(self.generation, 100))
        self.seq = 100
        self.index = OneLife(self.windows, self.generation)

    def take(self, batch: Batch) -> None:
        """The ranks before and after that a batch reports are those of the model before and after; seq grows by 1.

        A change that is there already has no rank before.
        """
        held = self.model.standings
        repeated = {user for user, one in batch.items() if user in held and held[user].version == one.version}
        before = {user: None if user in repeated else self.model.rank(user) for user in PEOPLE}
        (shift,) = self.wait(self.windows.apply([WindowChanges(self.generation, batch, PEOPLE)], 5))
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
        other = IndexGeneration(self.window, "f")
        self.wait(self.windows.create(other, self.seq))
        shown = {user: s for user, s in self.model.standings.items() if not s.hidden}
        for _ in range(2):
            self.wait(self.windows.upsert(other, shown))
        mine, theirs = (self.wait(self.windows.top(generation, 100)) for generation in (self.generation, other))
        assert told(mine.places) == told(theirs.places)

    @rule()
    def compared(self) -> None:
        """A comparison with the ledger reads what was applied."""
        shown = {user: s for user, s in self.model.standings.items() if not s.hidden}
        assert self.wait(_all(self.windows, self.generation)) == shown
        assert self.wait(self.windows.held(self.generation, PEOPLE)) == shown
        assert self.wait(self.windows.count(self.generation)) == len(shown)
        assert set(self.wait(self.windows.sample(self.generation, 50))) == set(shown)


async def _all(windows: RedisWindows, generation: IndexGeneration) -> dict[int, Standing]:
    found: dict[int, Standing] = {}
    async for page in windows.members(generation):
        found.update(page)
    return found


def test_redis_answers_as_a_sorted_list_would(redis_server: RedisServer) -> None:
    with asyncio.Runner() as runner:
        store = runner.run(_store(redis_server))
        RedisMachine.runner, RedisMachine.windows = runner, RedisWindows(store)
        run_state_machine_as_test(RedisMachine, settings=examples(40))
        runner.run(store.close())


async def _store(server: RedisServer) -> RedisStore:
    return RedisStore(parse_address(server.url), "test")


@pytest.fixture
async def windows(own_redis: RedisServer) -> AsyncIterator[RedisWindows]:
    store = await _store(own_redis)
    yield RedisWindows(store)
    await store.close()


async def _built(windows: RedisWindows, ties: Ties = "ordinal") -> IndexGeneration:
    generation = IndexGeneration(Window(1, Board(1, "b", "B", ties=ties), ALL_TIME), "e")
    await windows.create(generation, 0)
    await windows.upsert(generation, {user: Standing(user % 7, user, 1) for user in range(1, 2_001)}, [1, 2])
    return generation


async def test_a_restarted_redis_is_not_trusted(windows: RedisWindows, own_redis: RedisServer) -> None:
    """Also when it kept everything on disk: it may have missed what came last."""
    generation = await _built(windows)
    async with own_redis.client() as client:
        await client.save()
    own_redis.kill()
    own_redis.start()
    async with own_redis.client() as client:
        assert await client.exists(windows.keys(generation.window.id, generation.epoch)[0])
    with pytest.raises(IndexGone):
        await windows.top(generation, 10)


@pytest.mark.parametrize("lost", ["order", "users", "scores", "counts", "state"])
async def test_a_redis_that_lost_a_key_is_not_trusted(windows: RedisWindows, own_redis: RedisServer, lost: str) -> None:
    """Neither for reading nor for writing: half an index would rank wrongly."""
    generation = await _built(windows, ties="dense")
    async with own_redis.client() as client:
        await client.delete(
            next(key for key in windows.keys(generation.window.id, generation.epoch) if key.endswith(lost))
        )
    with pytest.raises(IndexGone):
        await windows.position(generation)
    (shift,) = await windows.apply([WindowChanges(generation, {1: Standing(1, 1, 9)})], 3)
    assert isinstance(shift, IndexGone)


async def test_a_lost_window_does_not_stop_another(windows: RedisWindows) -> None:
    generation = await _built(windows)
    lost = IndexGeneration(Window(2, WINDOW.board, ALL_TIME), "e")
    change = {5: Standing(1_000, 1, 2)}
    gone, shift = await windows.apply([WindowChanges(lost, change), WindowChanges(generation, change)], 3)
    assert isinstance(gone, IndexGone)
    assert isinstance(shift, Shift)
    assert shift.ranks[5][1] == 1


async def test_batches_are_remembered(windows: RedisWindows) -> None:
    """Also those that changed nothing, and those that came late."""
    generation = await _built(windows)
    await windows.apply([WindowChanges(generation, {})], 7)
    assert await windows.unmarked(generation, [1, 2, 3, 7, 8]) == {3, 8}


async def test_a_full_redis_refuses_a_batch_whole_and_goes_on_answering(
    windows: RedisWindows, own_redis: RedisServer
) -> None:
    generation = await _built(windows)
    own_redis.configure("maxmemory", "1")
    with pytest.raises(RedisUnavailable, match="memory"):
        await windows.apply([WindowChanges(generation, {1: Standing(999, 1, 9)})], 3)
    assert (await windows.top(generation, 1)).places[0].score == 6
    own_redis.configure("maxmemory", "0")
    assert await windows.unmarked(generation, [3]) == {3}


async def test_scripts_that_redis_forgot_are_loaded_again(windows: RedisWindows, own_redis: RedisServer) -> None:
    generation = await _built(windows)
    async with own_redis.client() as client:
        await client.script_flush()
    change = {1: Standing(999, 1, 9)}
    shifts = await windows.apply([WindowChanges(generation, change), WindowChanges(generation, change)], 3)
    assert [shift.news for shift in shifts if isinstance(shift, Shift)] == [True, False]


SHARED_DOUBLES = [2**53 + n for n in range(-2, 6)] + [2**60 + n for n in range(40)] + [-(2**53), -(2**53) - 1]
"""Up to forty neighbours that Redis' scores can't tell apart."""


@pytest.mark.parametrize("order", ["desc", "asc"])
@pytest.mark.parametrize("ties", ["ordinal", "competition", "dense"])
async def test_scores_that_share_a_double_are_ranked_apart(windows: RedisWindows, order: Order, ties: Ties) -> None:
    """Of who is on the board, and of who is not: before, between and behind those who are."""
    window = Window(1, Board(1, "b", "B", order=order, ties=ties), ALL_TIME)
    generation, model, chance = IndexGeneration(window, "e"), Model(window), random.Random(3)
    await windows.create(generation, 0)
    batch = {user: Standing(chance.choice(SHARED_DOUBLES), chance.randint(0, 3), 1) for user in range(1, 121)}
    (shift,) = await windows.apply([WindowChanges(generation, batch)], 1)
    model.apply(list(batch.items()))
    assert isinstance(shift, Shift)
    assert shift.ranks == {user: (None, rank) for rank, user, *_ in model.rows()}
    assert told((await windows.top(generation, 100)).places) == model.rows()[:100]
    for score in SHARED_DOUBLES:
        standing = Standing(score, 2, 1)
        place = await windows.place_of(generation, 60_000, standing)
        assert place.rank == model.with_one_more(60_000, standing).rank(60_000)


async def test_who_asks_for_no_ranks_is_told_whether_the_first_places_moved(windows: RedisWindows) -> None:
    """Never too little: whenever the first places, or how many there are, changed. And nothing of those far behind."""
    generation, chance = await _built(windows), random.Random(5)
    far_behind = 0
    for version in range(2, 60):
        first = await windows.top(generation, MAX_TOP)
        users = chance.sample(range(1, 2_200), 2)
        batch = {user: Standing(chance.randint(0, 7), user, version, chance.random() < 0.1) for user in users}
        (shift,) = await windows.apply([WindowChanges(generation, batch, ranked=False)], version)
        assert isinstance(shift, Shift)
        assert shift.ranks == {}
        now = await windows.top(generation, MAX_TOP)
        if (first.places, first.total) != (now.places, now.total):
            assert shift.top
        far_behind += not shift.top
    assert far_behind


async def test_a_copy_in_another_layout_is_not_read(windows: RedisWindows, own_redis: RedisServer) -> None:
    """A node of another release wrote it."""
    generation = await _built(windows)
    async with own_redis.client() as client:
        await client.hdel(windows.keys(generation.window.id, generation.epoch)[5], "layout")
    with pytest.raises(IndexGone):
        await windows.top(generation, 10)
