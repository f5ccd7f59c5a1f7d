"""Batches of one process that touch the same user go one after the other.

Without it the later of two would find at its end that the earlier changed the user, and judge anew.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class UserLocks:
    """Belongs to one event loop. As many at once as there are lanes."""

    def __init__(self) -> None:
        self._under_way: dict[asyncio.Future[None], set[int]] = {}

    @contextlib.asynccontextmanager
    async def hold(self, users: set[int]) -> AsyncIterator[None]:
        """Waits for who came earlier with one of these users: in the order of coming, so never in a circle."""
        earlier = [done for done, theirs in self._under_way.items() if not users.isdisjoint(theirs)]
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._under_way[mine] = users
        try:
            if earlier:
                await asyncio.wait(earlier)
            yield
        finally:
            del self._under_way[mine]
            mine.set_result(None)
