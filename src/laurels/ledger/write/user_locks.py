"""A mutex on sets of user ids, for the batches of one process.

Without it the later of two batches that share a user would find, when it writes, that the earlier one has changed the
user, and would have been judged in vain.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class UserLocks:
    """Belongs to one event loop. Its holders are at most as many as there are lanes."""

    def __init__(self) -> None:
        self._holders: dict[asyncio.Future[None], set[int]] = {}

    @contextlib.asynccontextmanager
    async def hold(self, users: set[int]) -> AsyncIterator[None]:
        """Wait for every earlier holder of one of these users. Waiting in the order of arrival can't deadlock."""
        earlier = [done for done, theirs in self._holders.items() if not users.isdisjoint(theirs)]
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._holders[done] = users
        try:
            if earlier:
                await asyncio.wait(earlier)
            yield
        finally:
            del self._holders[done]
            done.set_result(None)
