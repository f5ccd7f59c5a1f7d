"""Fold earlier actions into new boards, then show the boards."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

from ..catalogue.catalogue import Catalogue
from ..db.pool import Pool, acquire
from ..events.journal import announce
from . import repair

_TO_FILL = """
SELECT id FROM boards
WHERE NOT is_filled AND archived_at IS NULL AND updated_at < clock_timestamp() - make_interval(secs => $1)"""
_FILLED = "UPDATE boards SET is_filled = true WHERE id = $1 AND archived_at IS NULL AND NOT is_filled"


async def fill_new_boards(pool: Pool, catalogue: Catalogue, node: UUID, after_seconds: float) -> int:
    """Fill the boards created at least `after_seconds` ago, and return how many there were.

    By then every node knows them and folds new actions itself. May be interrupted at any point and run on several nodes
    at once: folding again does not change what is right.
    """
    async with acquire(pool) as connection:
        ids = {row["id"] for row in await connection.fetch(_TO_FILL, after_seconds)}
    for window in await catalogue.windows_at(datetime.now(UTC)):
        if window.board.id in ids:
            await repair.refold(pool, window, uuid4())  # This node's index follows the journal too.
            async with acquire(pool) as connection, connection.transaction():
                await connection.execute(_FILLED, window.board.id)
                await announce(connection, node, "catalogue", [])
    if ids:
        await catalogue.refresh()
    return len(ids)
