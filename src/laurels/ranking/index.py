"""The questions every index answers, and the shape of the answers.

`seq` is a window's counter: it grows by one with each applied batch that touches the window, so
two answers with the same epoch and seq describe the same instant.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import msgspec

from ..domain.actions import Placement, RankState
from ..domain.boards import Board, Window
from ..domain.standings import Standing

MAX_AROUND = 50
MAX_TOP = 100
LEDGER = "ledger"
"""The epoch of answers that were counted in the ledger: their seq is the newest journal entry they could see."""


Moves: TypeAlias = dict[int, tuple[int | None, int | None]]
"""User id -> rank before, rank after."""


class Place(msgspec.Struct, frozen=True, gc=False):
    """One row of a ranking. `reached_at` in microseconds."""

    rank: int
    user_id: int
    score: int
    reached_at: int


class Position(msgspec.Struct, frozen=True, gc=False):
    """Where a window's index is. Seqs compare within one epoch, which names one life of the index."""

    epoch: str
    seq: int


class Ranking(msgspec.Struct, frozen=True, gc=False):
    """Rows of one window at one instant. `total` counts everybody on the board.

    `rank_state` is `rebuilding` when the index could not answer and the ledger was counted instead.
    """

    epoch: str
    seq: int
    total: int
    places: tuple[Place, ...]
    rank_state: RankState = "exact"


@dataclass(frozen=True, slots=True)
class Shift:
    """What one applied batch did to one window: user id -> (rank before, rank after), both at `seq`.

    Users whose change was older than what the index holds are where they were. `news`: anything changed.
    `top`: one of the first MAX_TOP places, or how many there are, may have. `repeated`: users whose change another node
    had brought before; their rank before is not known.
    """

    seq: int
    total: int
    news: bool
    top: bool
    ranks: Moves
    repeated: frozenset[int] = frozenset()

    def placement(self, user_id: int) -> Placement:
        """Return what a receipt tells of a user's ranks."""
        before, after = self.ranks[user_id]
        if user_id in self.repeated:
            return Placement(after, None, None, "rebuilding")
        return Placement(after, before, self.seq, "exact")


class Index(Protocol):
    """Answers about one window, each exact at the epoch and seq it carries."""

    async def position(self, window: Window) -> Position:
        """How far the window is: an answer read at this position is still the answer."""

    async def top(self, window: Window, size: int) -> Ranking:
        """The best `size` places (at most MAX_TOP)."""

    async def around(self, window: Window, user_id: int, radius: int) -> Ranking:
        """The user's place with up to `radius` (at most MAX_AROUND) neighbours on each side; empty if unplaced."""

    async def places(self, window: Window, user_ids: Collection[int]) -> Ranking:
        """The place of each user that has one, in no order."""

    async def place_of(self, window: Window, user_id: int, standing: Standing) -> Place:
        """The place that a standing which is not on the board would take; nobody else's changes by asking."""


class HeldIndex(Index, Protocol):
    """An index that holds a copy of the standings, which can therefore differ from the ledger."""

    async def held(self, window: Window, user_ids: Sequence[int]) -> dict[int, Standing]:
        """The copy of each user on the board."""

    def members(self, window: Window) -> AsyncIterator[dict[int, Standing]]:
        """All of the copy, in pages; those who move meanwhile may be missing or come twice."""

    async def sample(self, window: Window, size: int) -> list[int]:
        """User ids: the first of the board and random others, at most `size`."""

    async def count(self, window: Window) -> int:
        """How many are on the board."""


def tied_rank(board: Board, ordinal: int, strictly_better: int, distinct_better: int) -> int:
    """The 1-based rank under the board's tie policy, from counts of who stands before."""
    if board.ties == "ordinal":
        return ordinal
    return 1 + (strictly_better if board.ties == "competition" else distinct_better)


def reaches_top(moves: Moves) -> bool:
    """May one of the first MAX_TOP places, or how many there are, have changed?"""
    return any(before is None or after is None or min(before, after) <= MAX_TOP for before, after in moves.values())
