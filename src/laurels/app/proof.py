"""Prove that ledger, standings and index agree, and repair what does not; snapshots of the boards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

from ..domain.boards import Window
from ..ledger.standings import repair, snapshots
from ..ledger.standings.snapshots import Snapshot
from ..ranking.index import HeldIndex
from ..ranking.verify import Proof, compare, prove
from .admin_context import AdminContext


@dataclass(frozen=True, slots=True)
class IndexedWindow:
    """An open window of a node's index: its members, and how many of them the ledger holds differently."""

    board: str
    members: int
    drift: int


async def prove_ledger(context: AdminContext) -> AsyncIterator[tuple[str, Proof]]:
    """Yield a board's slug and the proof of its standings, for every open window. O(n log n) each."""
    for window in await _open_windows(context):
        yield window.board.slug, await prove(context.pool, window)


async def repair_standings(context: AdminContext) -> int:
    """Fold the standings that differ from the ledger again; return how many did. Safe beside live writes."""
    windows = await _open_windows(context)
    return sum([await repair.refold(context.pool, window, context.node_id) for window in windows])


async def take_snapshots(context: AdminContext) -> list[Snapshot]:
    """Freeze the top of every open window, its total, and every user's rank."""
    return await snapshots.take(context.pool, context.catalogue, context.node_id)


async def compare_index(context: AdminContext, index: HeldIndex) -> list[IndexedWindow]:
    """Compare every open window of an index with the ledger, beside live writes. O(n)."""
    return [
        IndexedWindow(window.board.slug, await index.count(window), await compare(index, context.pool, window))
        for window in await _open_windows(context)
    ]


async def _open_windows(context: AdminContext) -> list[Window]:
    return list(await context.catalogue.windows_at(datetime.now(UTC)))
