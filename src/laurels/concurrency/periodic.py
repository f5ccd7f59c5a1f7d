"""Repeat work in a task of its own, until the task is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn


async def run_periodically(pause: float | Callable[[], float], work: Callable[[], Awaitable[object]]) -> NoReturn:
    """Await `pause` seconds, then `work`, again and again; an error of `work` ends the loop and is raised.

    A callable `pause` is asked before each wait: after a failure it may be longer.
    """
    while True:
        await asyncio.sleep(pause() if callable(pause) else pause)
        await work()
