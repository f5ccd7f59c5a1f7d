"""One loader per key, never an older version than was asked for, nothing forgotten comes back, a bounded size."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laurels import telemetry
from laurels.concurrency.read_through import ReadThrough

Loader = Callable[[], Awaitable[tuple[int, str]]]


def count(name: str, outcome: str) -> float:
    return (
        telemetry.REGISTRY.get_sample_value("laurels_cache_requests_total", {"cache": name, "outcome": outcome}) or 0.0
    )


def answering(version: int, value: str, made: list[str] | None = None, gate: asyncio.Event | None = None) -> Loader:
    async def load() -> tuple[int, str]:
        if made is not None:
            made.append(value)
        if gate is not None:
            await gate.wait()
        return version, value

    return load


async def test_of_a_hundred_readers_one_loads() -> None:
    cache: ReadThrough[str, str] = ReadThrough("crowd", seconds=60, limit=10)
    gate = asyncio.Event()
    made: list[str] = []
    readers = [asyncio.create_task(cache.get("k", 1, answering(1, "v", made, gate))) for _ in range(100)]
    await asyncio.sleep(0)
    readers[0].cancel()  # who began to load goes away: the others lose nothing
    gate.set()
    assert await asyncio.gather(*readers[1:]) == ["v"] * 99
    assert made == ["v"]
    assert (count("crowd", "miss"), count("crowd", "joined")) == (1, 99)
    assert await cache.get("k", 1, answering(1, "not loaded")) == "v"
    assert count("crowd", "hit") == 1


async def test_a_failed_load_is_told_to_all_who_wait_and_not_kept() -> None:
    cache: ReadThrough[str, str] = ReadThrough("failing", seconds=60, limit=10)

    async def fail() -> tuple[int, str]:
        raise LookupError("away")

    answers = await asyncio.gather(*(cache.get("k", 1, fail) for _ in range(5)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [LookupError] * 5
    assert await cache.get("k", 1, answering(1, "v")) == "v"


async def test_a_slow_loader_puts_nothing_back_that_was_forgotten() -> None:
    cache: ReadThrough[str, str] = ReadThrough("forgetting", seconds=60, limit=10)
    gate = asyncio.Event()
    slow = asyncio.create_task(cache.get("k", 1, answering(1, "old", gate=gate)))
    await asyncio.sleep(0)
    cache.invalidate()
    assert await cache.get("k", 1, answering(1, "new")) == "new"
    gate.set()
    assert await slow == "old"  # it was asked before
    assert await cache.get("k", 1, answering(1, "newer")) == "new"


async def test_an_entry_ends_with_its_time_and_the_longest_unchanged_goes_first() -> None:
    now = 0.0
    cache: ReadThrough[int, str] = ReadThrough("ageing", seconds=60, limit=3, clock=lambda: now)
    for key in range(5):
        await cache.get(key, 1, answering(1, "v"))
    assert len(cache) == 3
    assert await cache.get(4, 1, answering(1, "w")) == "v"
    now = 60.0
    assert await cache.get(4, 1, answering(1, "w")) == "w"
    assert count("ageing", "stale") == 1


STEPS = st.lists(st.sampled_from(["change", "forget", "ask", "let one load end"]), max_size=40)


@given(steps=STEPS, order=st.randoms(use_true_random=False))
def test_no_answer_is_older_than_its_request(steps: list[str], order: random.Random) -> None:
    """Holds for every order of changes, requests, and loads that end late."""
    asyncio.run(_interleave(steps, order))


class _Scene:
    """A truth that changes, loaders that take their time, and who asked when."""

    def __init__(self) -> None:
        self.cache: ReadThrough[str, int] = ReadThrough("interleaved", seconds=60, limit=2)
        self.truth = 0
        self.gates: list[asyncio.Event] = []
        self.asked: list[tuple[int, asyncio.Task[int]]] = []

    async def load(self) -> tuple[int, int]:
        seen, gate = self.truth, asyncio.Event()
        self.gates.append(gate)
        await gate.wait()
        return seen, seen

    def change(self) -> None:
        self.truth += 1

    def ask(self) -> None:
        self.asked.append((self.truth, asyncio.create_task(self.cache.get("k", self.truth, self.load))))


async def _interleave(steps: list[str], order: random.Random) -> None:
    scene = _Scene()
    acts = {"change": scene.change, "forget": scene.cache.invalidate, "ask": scene.ask}
    for step in steps:
        if step in acts:
            acts[step]()
        elif scene.gates:
            scene.gates.pop(order.randrange(len(scene.gates))).set()
        for _ in range(3):
            await asyncio.sleep(0)
    while any(not task.done() for _, task in scene.asked):
        for gate in scene.gates:
            gate.set()
        await asyncio.sleep(0)
    for floor, task in scene.asked:
        assert task.result() >= floor


@pytest.mark.parametrize("version", [1, 2])
async def test_an_older_version_is_never_answered(version: int) -> None:
    cache: ReadThrough[str, str] = ReadThrough("versions", seconds=60, limit=2)
    await cache.get("k", 1, answering(1, "one"))
    assert await cache.get("k", version, answering(version, "two")) == ("one" if version == 1 else "two")
