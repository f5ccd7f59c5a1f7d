"""A loop on which time passes only when nothing else can happen: waits cost nothing and end to the microsecond."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any


class VirtualLoop(asyncio.SelectorEventLoop):
    """The hooks are private to asyncio's own loop: tests of it fail at once where a Python has others."""

    if TYPE_CHECKING:
        _scheduled: list[asyncio.TimerHandle]
        _ready: list[asyncio.Handle]

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        due = [timer.when() for timer in self._scheduled if not timer.cancelled()]
        if not self._ready and due:
            self._now = max(self._now, min(due))
        super()._run_once()  # type: ignore[misc]  # of BaseEventLoop, not in its stub


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test on a VirtualLoop of its own."""

    @functools.wraps(test)
    def run(*args: object, **kwargs: object) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run
