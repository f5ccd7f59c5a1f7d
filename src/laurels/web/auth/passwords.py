"""argon2id off the event loop, with bounded concurrency and a bounded queue.

The parameters are OWASP's first choice (19 MiB, 2 passes). A flood of log-ins holds `workers` x 19 MiB and no more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from ...concurrency.bulkhead import Bulkhead
from ...domain.errors import Code, LaurelsError

T = TypeVar("T")

QUEUE = 64
"""Hashes waiting or running; more are refused at once."""


class Passwords:
    """Hashes and verifies passwords in `workers` threads."""

    def __init__(self, workers: int) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="argon2")
        self._queue = Bulkhead(QUEUE, admitted=QUEUE, refusal=_too_many)
        self._decoy = self._hasher.hash("no account has this password")

    async def hash(self, password: str) -> str:
        """Return the hash to store. Raises LaurelsError(OVERLOADED)."""
        return await self._run(lambda: self._hasher.hash(password))

    async def matches(self, stored: str | None, password: str) -> bool:
        """Return whether a password matches the stored hash. Raises LaurelsError(OVERLOADED).

        Takes the same time for an account that does not exist (`stored` None) as for a wrong password.
        """
        return await self._run(lambda: self._verify(stored, password))

    def close(self) -> None:
        """Discard what waits, and end the threads when they have finished."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _verify(self, stored: str | None, password: str) -> bool:
        try:
            self._hasher.verify(stored or self._decoy, password)
        except (Argon2Error, InvalidHashError):
            return False
        return stored is not None

    async def _run(self, work: Callable[[], T]) -> T:
        async with self._queue:  # the threads bound how many are computed at once
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _too_many() -> LaurelsError:
    return LaurelsError(Code.OVERLOADED, "Too many log-ins at once. Try again.", retry_after=2)
