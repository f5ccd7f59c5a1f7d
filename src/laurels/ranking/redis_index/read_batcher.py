"""Questions to Redis that are asked while others are under way leave together, in one round trip.

A round trip costs this process more than everything else that a read does, and a busy node has dozens at once. Who
asks while a call is under way waits for the next one: the answer must not be older than the question. Equal questions
of one call are asked once. Nobody waits longer than a call to Redis may take.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from ...redis_store import RedisStore, RedisUnavailable
from ...redis_store.store import CALL_SECONDS
from .scripts import IndexGone, Run, run_all

READS_PER_CALL = 64
"""Questions in one round trip: some 2 ms of Redis' time."""
MAX_WAITING = 1_000
_LEAST_SECONDS = 0.1
"""A call that is given less would fail although Redis is well."""


@dataclass(frozen=True, slots=True)
class _PendingRead:
    run: Run
    answer: asyncio.Future[Any]
    deadline: float


@dataclass(slots=True)
class ReadBatcher:
    store: RedisStore
    _waiting: deque[_PendingRead] = field(default_factory=deque)
    _under_way: asyncio.Task[None] | None = None
    """Ends by itself, when nobody waits any longer; each of its calls has a deadline."""

    async def read(self, run: Run) -> Any:
        """The reply of a script that writes nothing. Raises RedisAway, also when too many ask; IndexGone."""
        if len(self._waiting) >= MAX_WAITING:
            raise RedisUnavailable("too many questions wait for Redis")
        loop = asyncio.get_running_loop()
        question = _PendingRead(run, loop.create_future(), loop.time() + CALL_SECONDS)
        self._waiting.append(question)
        if self._under_way is None:
            self._under_way = asyncio.create_task(self._ask_all(), name="index-questions")
        return await question.answer

    async def _ask_all(self) -> None:
        try:
            while self._waiting:
                taken = [self._waiting.popleft() for _ in range(min(READS_PER_CALL, len(self._waiting)))]
                left = min(question.deadline for question in taken) - asyncio.get_running_loop().time()
                await self._ask_together(taken, max(left, _LEAST_SECONDS))
        finally:
            self._under_way = None

    async def _ask_together(self, asked: list[_PendingRead], seconds: float) -> None:
        runs = list({question.run: None for question in asked})
        try:
            replies = await self.store.call(lambda redis: run_all(redis, runs), seconds=seconds, idempotent=True)
        except RedisUnavailable as away:
            self._fail([*asked, *self._waiting], away)
            self._waiting.clear()
            return
        except BaseException as error:  # the task is told to end, or what nobody foresaw: who waits is told
            self._fail([*asked, *self._waiting], RedisUnavailable(f"asking was given up: {error!r}"))
            self._waiting.clear()
            raise
        by_run = dict(zip(runs, replies, strict=True))
        for question in asked:
            _answer(question, by_run[question.run])

    def _fail(self, questions: list[_PendingRead], away: RedisUnavailable) -> None:
        """Also those that were to go next: they have waited, and would find what this call found."""
        for question in questions:
            if not question.answer.done():
                question.answer.set_exception(away)


def _answer(question: _PendingRead, reply: Any) -> None:
    if question.answer.done():  # cancelled meanwhile
        return
    if isinstance(reply, IndexGone):
        question.answer.set_exception(reply)
    else:
        question.answer.set_result(reply)
