"""Fresh processes, one measurement each, printed as JSON.

    python -m bench.floors.probes index N      MiB that N members add to a process that holds them in a MemoryIndex
    python -m bench.floors.probes plain N      … in the smallest equivalent: a sorted list of keys and a map
    python -m bench.floors.probes load URL     seconds and MiB to load a ledger as a starting node does
    python -m bench.floors.probes rows URL     seconds to read the same rows and drop them

All print {"seconds", "mib", "peak_mib", "members"}.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable

import psutil
import uvloop

from laurels.config import Settings
from laurels.ledger.db import pool as ledger_pool
from laurels.ledger.standings import standings
from laurels.node import assemble
from laurels.ranking.memory_index import MemoryIndex

from ..questions.ranks import WINDOW, standing

MIB = 1024 * 1024
Probe = Callable[[str], Awaitable[tuple[int, object]]]
"""Returns the number of members, and an object that must stay alive until memory is measured."""


async def _index(size: str) -> tuple[int, object]:
    index = MemoryIndex("probe")
    index.window(WINDOW).load((user, standing(user)) for user in range(1_000, 1_000 + int(size)))
    return int(size), index


async def _plain(size: str) -> tuple[int, object]:
    """Build a 24-byte key and an 8-byte version per user, shared by the list and the map."""
    by_user: dict[int, bytes] = {}
    for user in range(1_000, 1_000 + int(size)):
        row = standing(user)
        by_user[user] = (
            (~row.score + 2**63).to_bytes(8, "big") + row.reached_at.to_bytes(8, "big") + user.to_bytes(16, "big")
        )
    return int(size), (by_user, sorted(by_user.values()))


async def _load(url: str) -> tuple[int, object]:
    pool = await ledger_pool.connect(url, size=6)
    node = await assemble(Settings(database_url=url), pool)
    return await node.parts.projection.load(), node


async def _rows(url: str) -> tuple[int, object]:
    pool = await ledger_pool.connect(url, size=2)
    node = await assemble(Settings(database_url=url), pool)
    window = await node.parts.catalogue.window(node.parts.catalogue.default_board)
    count = 0
    async with pool.acquire() as connection, connection.transaction(readonly=True):
        cursor = await connection.cursor(standings._STREAM, window.id)
        while rows := await cursor.fetch(standings.PAGE):
            count += len(rows)
    return count, None


PROBES: dict[str, Probe] = {"index": _index, "plain": _plain, "load": _load, "rows": _rows}


async def main(name: str, argument: str) -> None:
    gc.collect()
    before, started = psutil.Process().memory_info().rss, time.perf_counter()
    members, held = await PROBES[name](argument)
    seconds = time.perf_counter() - started
    gc.collect()
    after = psutil.Process().memory_info().rss
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    figures = {"seconds": seconds, "mib": (after - before) / MIB, "peak_mib": (peak - before) / MIB, "members": members}
    sys.stdout.write(json.dumps(figures) + "\n")
    sys.stdout.flush()
    del held


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2]))
