"""At most one call runs per key, and with `run_fresh` no caller gets data older than its request."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laurels.concurrency.single_flight import SingleFlight


class _Scene:
    """A value that changes, calls that take their time, and the value at each request."""

    def __init__(self) -> None:
        self.flight: SingleFlight[str, int] = SingleFlight()
        self.value = 0
        self.gates: list[asyncio.Event] = []
        self.requests: list[tuple[int, asyncio.Task[int]]] = []
        self.calls = 0

    async def call(self) -> int:
        seen, gate = self.value, asyncio.Event()
        self.calls += 1
        self.gates.append(gate)
        assert len(self.gates) == 1, "two calls at once"
        await gate.wait()
        self.gates.remove(gate)
        return seen

    def change(self) -> None:
        self.value += 1

    def request(self) -> None:
        self.requests.append((self.value, asyncio.create_task(self.flight.run_fresh("k", self.call))))

    def leave(self) -> None:
        if self.requests:
            self.requests.pop()[1].cancel()

    def end(self) -> None:
        for gate in self.gates:
            gate.set()

    async def finish(self) -> None:
        while any(not task.done() for _, task in self.requests):
            self.end()
            await asyncio.sleep(0)


STEPS = st.lists(st.sampled_from(["change", "request", "request", "leave", "end"]), max_size=60)


@given(steps=STEPS, order=st.randoms(use_true_random=False))
def test_fresh_results_are_never_older_than_the_request(steps: list[str], order: random.Random) -> None:
    """Holds for every order of changes, requests and cancellations."""
    asyncio.run(_interleave(steps, order))


async def _interleave(steps: list[str], order: random.Random) -> None:
    scene = _Scene()
    for step in steps:
        getattr(scene, step)()
        for _ in range(order.randrange(4)):
            await asyncio.sleep(0)
    await scene.finish()
    for floor, task in scene.requests:
        assert task.result() >= floor
    for _ in range(3):  # a call whose callers were all cancelled ends too
        await _few_turns()
        scene.end()
    await _few_turns()
    assert not scene.flight._running, "a finished call is not remembered"
    assert not scene.flight._pending


async def test_a_crowd_that_arrives_during_a_call_shares_the_next() -> None:
    scene = _Scene()
    scene.request()
    await _few_turns()
    for _ in range(100):
        scene.request()
    await scene.finish()
    assert scene.calls == 2


async def test_a_crowd_that_arrives_at_once_shares_one_call() -> None:
    scene = _Scene()
    for _ in range(100):
        scene.request()
    await scene.finish()
    assert scene.calls == 1


async def test_run_joins_the_call_in_flight() -> None:
    flight: SingleFlight[str, int] = SingleFlight()
    gate, calls = asyncio.Event(), 0

    async def call() -> int:
        nonlocal calls
        calls += 1
        await gate.wait()
        return calls

    first = asyncio.create_task(flight.run("k", call))
    await asyncio.sleep(0)
    assert flight.is_running("k")
    joined = asyncio.create_task(flight.run("k", call))
    await asyncio.sleep(0)
    flight.forget()
    assert not flight.is_running("k")
    later = asyncio.create_task(flight.run("k", call))
    await asyncio.sleep(0)
    first.cancel()
    gate.set()
    assert await joined == 2  # its call ended after the later one had begun
    assert await later == 2
    assert calls == 2


async def test_an_error_is_raised_to_all_who_share_the_call_and_to_no_later_caller() -> None:
    flight: SingleFlight[str, int] = SingleFlight()

    async def fail() -> int:
        await asyncio.sleep(0)
        raise LookupError("away")

    async def work() -> int:
        return 7

    results = await asyncio.gather(*(flight.run_fresh("k", fail) for _ in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [LookupError] * 5
    assert await flight.run_fresh("k", work) == 7
    with pytest.raises(LookupError):
        await flight.run_fresh("k", fail)


async def test_close_cancels_what_has_not_begun_and_waits_for_the_rest() -> None:
    scene = _Scene()
    scene.request()
    await _few_turns()
    scene.request()
    await asyncio.sleep(0)
    closing = asyncio.create_task(scene.flight.close())
    await asyncio.sleep(0)
    scene.end()
    await closing
    (_, running), (_, pending) = scene.requests
    await asyncio.wait({running, pending})
    assert running.result() == 0
    assert pending.cancelled()
    assert scene.calls == 1


async def _few_turns() -> None:
    """Let tasks that were just created reach their first wait."""
    for _ in range(5):
        await asyncio.sleep(0)
