"""Resources of nodes, edge and database while idle: the same after a fault as before it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psutil
from deploy.cluster import processes

SETTLE_SECONDS = 30.0
SPARE_FILES = 24
"""A pool of connections that was not full before may be so after."""
MEMORY_SHARE, SPARE_MEMORY = 1.25, 24_000_000
"""Caches and the interpreter's own pools keep some of what they were given."""

_BUSY = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start < now() - interval '5 s'
    AND backend_type = 'client backend'"""
_WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"
_LONG_HELD = """
SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE a.state LIKE 'idle%' AND a.xact_start IS NOT NULL
    AND l.locktype IN ('transactionid', 'tuple', 'relation', 'advisory')"""


@dataclass(frozen=True, slots=True)
class Held:
    """Of one part: open files (connections among them), and bytes of memory."""

    files: int
    memory: int


def held(family: Sequence[psutil.Process]) -> Held:
    files = 0
    for process in family:
        try:
            files += process.num_fds()
        except psutil.Error:
            continue
    return Held(files, processes.memory(family))


async def settled(scene: Any, before: Mapping[str, Held]) -> list[str]:
    """Return resources still held beyond `before` after SETTLE_SECONDS; empty if all were released."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while excess := await _excess(scene, before):
        if time.monotonic() > deadline:
            return excess
        await asyncio.sleep(0.5)
    return []


async def _excess(scene: Any, before: Mapping[str, Held]) -> list[str]:
    found = await _in_database(scene)
    for name, now in (await asyncio.to_thread(scene.held)).items():
        was = before[name]
        if now.files > was.files + SPARE_FILES:
            found.append(f"{name} holds {now.files} open files; {was.files} before")
        if now.memory > was.memory * MEMORY_SHARE + SPARE_MEMORY:
            found.append(f"{name} holds {now.memory / 1e6:.0f} MB; {was.memory / 1e6:.0f} before")
    return found


async def _in_database(scene: Any) -> list[str]:
    connection = await scene.truth()
    try:
        asked = {
            "transactions are open": _BUSY,
            "locks are waited for": _WAITING,
            "locks are kept by the idle": _LONG_HELD,
        }
        return [f"{count} {what}" for what, query in asked.items() if (count := await connection.fetchval(query))]
    finally:
        await connection.close()
