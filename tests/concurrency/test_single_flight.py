"""At most one question under way, and nobody is answered with less than was true when they came."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laurels.concurrency.single_flight import SingleFlight


class _Scene:
    """A truth that changes, questions that take their time, and who asked when."""

    def __init__(self) -> None:
        self.rounds: SingleFlight[str, int] = SingleFlight()
        self.truth = 0
        self.gates: list[asyncio.Event] = []
        self.asked: list[tuple[int, asyncio.Task[int]]] = []
        self.questions = 0

    async def question(self) -> int:
        seen, gate = self.truth, asyncio.Event()
        self.questions += 1
        self.gates.append(gate)
        assert len(self.gates) == 1, "two questions at once"
        await gate.wait()
        self.gates.remove(gate)
        return seen

    def change(self) -> None:
        self.truth += 1

    def ask(self) -> None:
        self.asked.append((self.truth, asyncio.create_task(self.rounds.run("k", self.question))))

    def leave(self) -> None:
        if self.asked:
            self.asked.pop()[1].cancel()

    def end(self) -> None:
        for gate in self.gates:
            gate.set()


STEPS = st.lists(st.sampled_from(["change", "ask", "ask", "leave", "end"]), max_size=60)


@given(steps=STEPS, order=st.randoms(use_true_random=False))
def test_nobody_is_answered_with_the_past(steps: list[str], order: random.Random) -> None:
    """Whatever the order of changes, questions, and who goes away."""
    asyncio.run(_interleave(steps, order))


async def _interleave(steps: list[str], order: random.Random) -> None:
    scene = _Scene()
    for step in steps:
        getattr(scene, step)()
        for _ in range(order.randrange(4)):
            await asyncio.sleep(0)
    while any(not task.done() for _, task in scene.asked):
        scene.end()
        await asyncio.sleep(0)
    for floor, task in scene.asked:
        assert task.result() >= floor


async def test_a_crowd_is_served_by_two_questions() -> None:
    scene = _Scene()
    for _ in range(100):
        scene.ask()
    while not all(task.done() for _, task in scene.asked):
        scene.end()
        await asyncio.sleep(0)
    assert scene.questions == 2


async def test_a_failure_is_told_to_all_who_share_it_and_to_nobody_after() -> None:
    rounds: SingleFlight[str, int] = SingleFlight()

    async def fail() -> int:
        await asyncio.sleep(0)
        raise LookupError("away")

    async def work() -> int:
        return 7

    answers = await asyncio.gather(*(rounds.run("k", fail) for _ in range(5)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [LookupError] * 5
    assert await rounds.run("k", work) == 7
    with pytest.raises(LookupError):
        await rounds.run("k", fail)
