"""The small building blocks: a bounded dict, a bulkhead, back-off and periodic work."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laurels.concurrency.backoff import Backoff
from laurels.concurrency.bounded_dict import BoundedDict
from laurels.concurrency.bulkhead import Bulkhead
from laurels.concurrency.periodic import run_periodically


@given(keys=st.lists(st.integers(0, 9)), limit=st.integers(1, 5))
def test_a_bounded_dict_keeps_the_keys_that_were_written_last(keys: list[int], limit: int) -> None:
    held: BoundedDict[int, int] = BoundedDict(limit)
    for at, key in enumerate(keys):
        held.put(key, at)
        assert held.get(key) == at
        assert len(held) <= limit
    newest_first = list(dict.fromkeys(reversed(keys)))[:limit]
    assert list(reversed(held)) == newest_first
    assert all(held[key] == len(keys) - 1 - keys[::-1].index(key) for key in newest_first)


class _Full(Exception):
    pass


@given(
    at_once=st.integers(1, 4),
    more=st.integers(0, 4),
    cancelled=st.sets(st.integers(0, 11)),
)
def test_a_bulkhead_bounds_who_is_inside_and_who_waits(at_once: int, more: int, cancelled: set[int]) -> None:
    asyncio.run(_through_bulkhead(at_once, more, cancelled))


async def _through_bulkhead(at_once: int, more: int, cancelled: set[int]) -> None:
    bulkhead = Bulkhead(at_once, admitted=at_once + more, refusal=_Full)
    inside = most = 0
    gate = asyncio.Event()

    async def visit() -> None:
        nonlocal inside, most
        async with bulkhead:
            inside += 1
            most = max(most, inside)
            try:
                await gate.wait()
            finally:
                inside -= 1

    visits = [asyncio.create_task(visit()) for _ in range(12)]
    await asyncio.sleep(0)
    assert sum(task.done() for task in visits) == 12 - at_once - more, "refused at once"
    for number in cancelled:
        visits[number].cancel()
    await asyncio.sleep(0)
    gate.set()
    results = await asyncio.gather(*visits, return_exceptions=True)
    assert most <= at_once
    assert bulkhead.in_use == 0
    assert sum(isinstance(result, _Full) for result in results) == 12 - at_once - more
    async with bulkhead:
        assert bulkhead.in_use == 1


@given(failures=st.integers(1, 30))
def test_pauses_double_up_to_the_longest_and_start_again(failures: int) -> None:
    backoff = Backoff(0.25, 5.0)
    pauses = [backoff.next_pause() for _ in range(failures)]
    assert pauses == [min(0.25 * 2**n, 5.0) for n in range(failures)]
    backoff.reset()
    assert backoff.next_pause() == 0.25


async def test_periodic_work_runs_after_each_pause_until_it_fails() -> None:
    runs: list[str] = []

    def pause() -> float:
        runs.append("pause")
        return 0.0

    async def work() -> None:
        runs.append("work")
        if len(runs) >= 6:
            raise LookupError("the end")

    with pytest.raises(LookupError):
        await run_periodically(pause, work)
    assert runs == ["pause", "work"] * 3
