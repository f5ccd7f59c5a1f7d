"""Windows of a board: the open one and earlier ones."""

from __future__ import annotations

from ...domain.boards import Board, Window
from ...domain.calendars import Span
from ...domain.errors import Code, LaurelsError
from ..db.replicas import Reads

EARLIER = """
SELECT id, starts_at, ends_at FROM windows
WHERE board_id = $1 AND starts_at < coalesce((SELECT starts_at FROM windows WHERE id = $2), 'infinity')
ORDER BY board_id, starts_at DESC LIMIT $3"""
ONE = "SELECT id, starts_at, ends_at FROM windows WHERE id = $1 AND board_id = $2"


async def before(reads: Reads, board: Board, window_id: int, limit: int) -> list[Window]:
    """Return windows that began before that one (unknown id: all), newest first, without the all-time window."""
    rows = await reads.fetch(EARLIER, board.id, window_id, limit)
    return [Window(row["id"], board, Span(row["starts_at"], row["ends_at"])) for row in rows]


async def find(reads: Reads, board: Board, window_id: int) -> Window:
    """Return a window. Raises LaurelsError(WINDOW_UNKNOWN)."""
    row = await reads.fetchrow(ONE, window_id, board.id)
    if row is None:
        raise LaurelsError(Code.WINDOW_UNKNOWN, f"Board {board.slug!r} has no window {window_id}.")
    return Window(row["id"], board, Span(row["starts_at"], row["ends_at"]))
