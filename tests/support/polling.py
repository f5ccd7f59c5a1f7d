"""Waiting for what happens soon, without guessing how soon."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PAUSE = 0.02


async def eventually(look: Callable[[], Awaitable[T]], happened: Callable[[T], bool], *, within: float = 5.0) -> T:
    """What `look` answers as soon as it satisfies `happened`; an assertion with the last answer if it never does."""
    deadline = asyncio.get_running_loop().time() + within
    while not happened(seen := await look()):
        assert asyncio.get_running_loop().time() < deadline, f"still {seen!r} after {within} s"
        await asyncio.sleep(PAUSE)
    return seen


def soon(look: Callable[[], T], happened: Callable[[T], bool], *, within: float) -> T:
    """`eventually` for what is looked at without a loop."""
    deadline = time.monotonic() + within
    while not happened(seen := look()):
        assert time.monotonic() < deadline, f"still {seen!r} after {within} s"
        time.sleep(PAUSE)
    return seen
