"""Compare the index with the ledger, and measure the drift.

`prove` needs no running node: standings must be the fold of their actions, and the order of an index loaded from them
must be the one that PostgreSQL computes by sorting. `compare` and `sample` compare the index of a running node with
the ledger while writes go on.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from ..domain.boards import Window
from ..domain.standings import Standing
from ..ledger.db.pool import Pool, acquire
from ..ledger.standings import standings
from ..ledger.standings.repair import count_differing
from .index import HeldIndex
from .memory_index import MemoryWindow

COMPARISONS = 4
"""Comparisons after which a member that differs each time counts as drifted."""
COMPARE_AGAIN_SECONDS = 0.5
"""Seconds between two comparisons of a member that seems to have drifted."""
SAMPLE = 200
"""Members that `sample` compares, from each side."""


CHUNK = 1_000
"""Members compared in one step."""


@dataclass(frozen=True, slots=True)
class Proof:
    """One window at one instant.

    unfolded   users whose standing is not the fold of their rows
    misranked  members whose rank in the index differs from a sort in PostgreSQL
    """

    standings: int
    unfolded: int
    misranked: int


async def prove(pool: Pool, window: Window) -> Proof:
    """Read the whole window in one snapshot and check it. O(n log n)."""
    members: list[tuple[int, Standing]] = []
    ranks: dict[int, int] = {}
    async with acquire(pool) as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute("SET LOCAL statement_timeout = 0")
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = '300s'")
        unfolded = await count_differing(connection, window)
        async for user_id, standing, rank in standings.ranked(connection, window):
            members.append((user_id, standing))
            ranks[user_id] = rank
    held = MemoryWindow(window, 0)
    held.load(members)
    misranked = sum(held.rank(user_id) != rank for user_id, rank in ranks.items())
    return Proof(len(members), unfolded, misranked)


async def compare(index: HeldIndex, pool: Pool, window: Window) -> int:
    """Compare all members; return how many differ between index and ledger. O(n)."""
    ledger: dict[int, Standing] = {}
    async for page in standings.stream(pool, window):
        ledger.update(page)
    held: dict[int, Standing] = {}
    async for members in index.members(window):
        held.update(members)
    suspects = [user for user in ledger.keys() | held.keys() if ledger.get(user) != held.get(user)]
    return len(await _confirm(index, pool, window, suspects))


async def sample(index: HeldIndex, pool: Pool, window: Window) -> int:
    """Compare a sample, cheap enough for a running node: the top, random members of both sides, and the count."""
    members = await index.sample(window, SAMPLE)
    rows = await standings.random_users(pool, window, SAMPLE)
    drifted = await _confirm(index, pool, window, list({*members, *rows}))
    return len(drifted) + await _count_differs(index, pool, window)


async def _count_differs(index: HeldIndex, pool: Pool, window: Window) -> bool:
    """Return whether the number of members differs by more than came or went during the comparison."""
    for attempt in range(COMPARISONS):
        if attempt:
            await asyncio.sleep(COMPARE_AGAIN_SECONDS)
        before = await index.count(window)
        total = await standings.count(pool, window)
        after = await index.count(window)
        if min(before, after) <= total <= max(before, after):
            return False
    return True


async def _confirm(index: HeldIndex, pool: Pool, window: Window, suspects: list[int]) -> list[int]:
    """Return the suspects that differ between index and ledger in each of COMPARISONS comparisons.

    One is not enough: writes go on, and a commit reaches the ledger a moment before the index.
    """
    for attempt in range(COMPARISONS):
        if not suspects:
            break
        if attempt:
            await asyncio.sleep(COMPARE_AGAIN_SECONDS)
        suspects = await _differing(index, pool, window, suspects)
    return suspects


async def _differing(index: HeldIndex, pool: Pool, window: Window, users: list[int]) -> list[int]:
    found = []
    for start in range(0, len(users), CHUNK):
        chunk = users[start : start + CHUNK]
        rows = await standings.of_users(pool, [window], chunk)
        held = await index.held(window, chunk)  # read after the rows, so a newer version was written in between
        present = {row.user_id: row.standing for row in rows}
        found += [user for user in chunk if not _equal(held.get(user), present.get(user))]
    return found


def _equal(held: Standing | None, row: Standing | None) -> bool:
    if row is None or row.hidden:
        return held is None
    return held is not None and (held == row or held.version > row.version)
