"""The questions every index answers, and the shape of the answers.

`seq` is a window's counter: it grows by one with each applied batch that touches the window, so
two answers with the same epoch and seq describe the same instant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from ..domain.boards import Board, Window

MAX_AROUND = 50
MAX_TOP = 100


class Place(msgspec.Struct, frozen=True, gc=False):
    """One row of a ranking. `reached_at` in microseconds."""

    rank: int
    user_id: int
    score: int
    reached_at: int


class Ranking(msgspec.Struct, frozen=True, gc=False):
    """Rows of one window at one instant. `total` counts everybody on the board."""

    seq: int
    total: int
    places: tuple[Place, ...]


class Index(Protocol):
    """Answers about one window, each exact at the `seq` it carries."""

    async def top(self, window: Window, size: int) -> Ranking:
        """The best `size` places (at most MAX_TOP)."""

    async def around(self, window: Window, user_id: int, radius: int) -> Ranking:
        """The user's place with up to `radius` (at most MAX_AROUND) neighbours on each side; empty if unplaced."""

    async def places(self, window: Window, user_ids: Sequence[int]) -> dict[int, Place]:
        """The place of each user that has one."""


def tied_rank(board: Board, ordinal: int, strictly_better: int, distinct_better: int) -> int:
    """The 1-based rank under the board's tie policy, from counts of who stands before."""
    if board.ties == "ordinal":
        return ordinal
    return 1 + (strictly_better if board.ties == "competition" else distinct_better)
