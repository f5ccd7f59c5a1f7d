"""Waiting for what happens soon, without guessing how soon."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PAUSE = 0.02
BUSY_FACTOR = 6.0
"""Time limits are written for an idle machine; tests also run where every core has other work."""


async def eventually(look: Callable[[], Awaitable[T]], happened: Callable[[T], bool], *, within: float = 5.0) -> T:
    """Return the answer of `look` as soon as it satisfies `happened`; fail with the last answer if it never does.

    `within`: seconds on an idle machine.
    """
    deadline = asyncio.get_running_loop().time() + within * BUSY_FACTOR
    while not happened(seen := await look()):
        assert asyncio.get_running_loop().time() < deadline, f"still {seen!r} after {within * BUSY_FACTOR} s"
        await asyncio.sleep(PAUSE)
    return seen


def soon(look: Callable[[], T], happened: Callable[[T], bool], *, within: float) -> T:
    """`eventually` for what is looked at without a loop."""
    deadline = time.monotonic() + within * BUSY_FACTOR
    while not happened(seen := look()):
        assert time.monotonic() < deadline, f"still {seen!r} after {within * BUSY_FACTOR} s"
        time.sleep(PAUSE)
    return seen
