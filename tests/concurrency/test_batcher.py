"""Requests of many callers leave together, and each caller gets the result of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laurels.concurrency.batcher import Batcher


class _Full(Exception):
    pass


class _Abandoned(Exception):
    pass


class _Server:
    def __init__(self, *, size: int = 4, limit: int = 1_000) -> None:
        self.calls: list[list[int]] = []
        self.gate = asyncio.Event()
        self.error: BaseException | None = None
        self.batcher: Batcher[int, int] = Batcher(
            self.call,
            size=size,
            limit=limit,
            seconds=1.0,
            failures=(OSError,),
            refusal=_Full,
            abandoned=lambda error: _Abandoned(repr(error)),
        )

    async def call(self, requests: Sequence[int], seconds: float) -> Sequence[int | Exception]:
        assert 0 < seconds <= 1.0
        self.calls.append(list(requests))
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return [LookupError(str(request)) if request < 0 else request * 10 for request in requests]


@given(requests=st.lists(st.integers(-3, 20), max_size=40), size=st.integers(1, 8))
def test_every_caller_gets_the_result_of_its_request(requests: list[int], size: int) -> None:
    async def scene() -> None:
        server = _Server(size=size)
        server.gate.set()
        results = await asyncio.gather(*map(server.batcher.request, requests), return_exceptions=True)
        for request, result in zip(requests, results, strict=True):
            if request < 0:
                assert isinstance(result, LookupError)
            else:
                assert result == request * 10
        assert all(len(call) <= size and len(set(call)) == len(call) for call in server.calls)

    asyncio.run(scene())


async def test_requests_during_a_call_leave_with_the_next() -> None:
    server = _Server()
    first = asyncio.create_task(server.batcher.request(1))
    await _few_turns()
    others = [asyncio.create_task(server.batcher.request(number)) for number in (2, 3, 2)]
    await asyncio.sleep(0)
    server.gate.set()
    assert await asyncio.gather(first, *others) == [10, 20, 30, 20]
    assert server.calls == [[1], [2, 3]]


async def test_a_failed_call_fails_those_who_wait_for_the_next_too() -> None:
    server = _Server(size=1)
    server.error = OSError("away")
    server.gate.set()
    results = await asyncio.gather(*map(server.batcher.request, range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [OSError] * 3
    assert len(server.calls) == 1
    server.error = None
    assert await server.batcher.request(5) == 50


async def test_an_unforeseen_end_leaves_no_caller_waiting() -> None:
    server = _Server()
    waiting = asyncio.create_task(server.batcher.request(1))
    await _few_turns()
    assert server.batcher._sender is not None
    server.batcher._sender.cancel()
    with pytest.raises(_Abandoned):
        await waiting


async def test_callers_beyond_the_limit_are_refused() -> None:
    server = _Server(limit=2, size=1)
    waiting = [asyncio.create_task(server.batcher.request(number)) for number in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(_Full):
        await server.batcher.request(9)
    server.gate.set()
    assert await asyncio.gather(*waiting) == [0, 10]


async def test_a_cancelled_caller_does_not_fail_the_others() -> None:
    server = _Server()
    gone, stays = (asyncio.create_task(server.batcher.request(number)) for number in (1, 2))
    await _few_turns()
    gone.cancel()
    server.gate.set()
    assert await stays == 20


async def _few_turns() -> None:
    """Let tasks that were just created reach their first wait."""
    for _ in range(5):
        await asyncio.sleep(0)
