"""Pages of a board, and the cursors that lead to the next one.

A cursor holds the order key of the last place shown, not its position: places that change in front of it shift nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..domain.boards import Window
from ..ledger.db.paging import cursor_of, keys_of, no_cursor
from .index import LEDGER, Index, Position, Ranking, key_of

_KEY_DIGITS = 48
"""Hexadecimal digits of an order key."""


@dataclass(frozen=True, slots=True)
class PageStart:
    """At position `first`, or behind the order key `behind` of a page that was read at `position`.

    `window_id` None: of the current window.
    """

    first: int = 1
    window_id: int | None = None
    behind: bytes | None = None
    position: Position | None = None

    async def read(self, index: Index, window: Window, size: int) -> Ranking:
        """Return up to `size` places from here."""
        if self.behind is None:
            return await index.page(window, self.first, size)
        return await index.after(window, self.behind, size)

    def has_moved(self, ranking: Ranking) -> bool | None:
        """Return whether the board changed since the page before; None when a ledger's answer leaves that open."""
        if self.position is None:
            return False
        if LEDGER in (self.position.epoch, ranking.epoch):
            return None
        return self.position != Position(ranking.epoch, ranking.seq)


def page_start(cursor: str) -> PageStart:
    """Return where the page of a cursor begins. Raises LaurelsError(INVALID_REQUEST)."""
    window_id, epoch, seq, key = keys_of(cursor, int, str, int, str)
    try:
        behind = bytes.fromhex(key)
    except ValueError:
        raise no_cursor() from None
    if len(key) != _KEY_DIGITS or len(behind) != _KEY_DIGITS // 2:
        raise no_cursor()
    return PageStart(window_id=window_id, behind=behind, position=Position(epoch, seq))


def next_cursor(window: Window, shown: Ranking) -> str:
    """Return the cursor of the page behind `shown`, which has a place."""
    return cursor_of((window.id, shown.epoch, shown.seq, key_of(window.board, shown.places[-1]).hex()))
