"""The protocol of every index, and the types of its answers.

`seq` is a window's counter: it grows by one with each applied batch that changes the window. Two answers with the same
epoch and seq describe the same instant.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import msgspec

from ..domain.actions import Placement, RankState
from ..domain.boards import Board, Window
from ..domain.standings import Standing, order_key, sort_score

MAX_AROUND = 50
MAX_TOP = 100
LEDGER = "ledger"
"""The epoch of answers counted in the ledger; their seq is the newest journal entry that they could see."""


Moves: TypeAlias = dict[int, tuple[int | None, int | None]]
"""User id -> rank before, rank after."""


class Place(msgspec.Struct, frozen=True, gc=False):
    """One row of a ranking. `reached_at` in microseconds."""

    rank: int
    user_id: int
    score: int
    reached_at: int


class Position(msgspec.Struct, frozen=True, gc=False):
    """The position of a window's index. Seqs compare within one epoch, which names one generation of the index."""

    epoch: str
    seq: int


class Ranking(msgspec.Struct, frozen=True, gc=False):
    """Rows of one window at one instant. `total` counts all users on the board.

    `rank_state` is `rebuilding` when ranks were counted in the ledger, because the index could not answer.
    """

    epoch: str
    seq: int
    total: int
    places: tuple[Place, ...]
    rank_state: RankState = "exact"


@dataclass(frozen=True, slots=True)
class Shift:
    """Changes of one window by one applied batch: `ranks` maps user id to (rank before, rank after) at `seq`.

    A user whose change was older than what the index holds has equal ranks. `news`: anything changed. `top`: one of the
    first MAX_TOP places, or the number of users, may have changed. `repeated`: users whose change another node had
    applied before; their rank before is unknown.
    """

    seq: int
    total: int
    news: bool
    top: bool
    ranks: Moves
    repeated: frozenset[int] = frozenset()

    def placement(self, user_id: int) -> Placement:
        """Return a user's ranks for the receipt."""
        before, after = self.ranks[user_id]
        if user_id in self.repeated:
            return Placement(after, None, None, "rebuilding")
        return Placement(after, before, self.seq, "exact")


class Index(Protocol):
    """Ranks of one window. Each answer is exact at the epoch and seq that it carries."""

    async def position(self, window: Window) -> Position:
        """Return how far the window is; an answer read at this position is still current."""

    async def top(self, window: Window, size: int) -> Ranking:
        """Return the best `size` places (at most MAX_TOP)."""

    async def around(self, window: Window, user_id: int, radius: int) -> Ranking:
        """Return a user's place with up to `radius` (at most MAX_AROUND) neighbours on each side; empty if unplaced."""

    async def page(self, window: Window, first: int, size: int) -> Ranking:
        """Return `size` places (at most MAX_TOP) from the one at position `first`, counted from 1 without ties."""

    async def after(self, window: Window, key: bytes, size: int) -> Ranking:
        """Return the `size` places (at most MAX_TOP) behind an order key, whether or not a user still has it."""

    async def places(self, window: Window, user_ids: Collection[int]) -> Ranking:
        """Return the place of each user that has one, in no order."""

    async def place_of(self, window: Window, user_id: int, standing: Standing) -> Place:
        """Return the place that a standing which is not on the board would take, without adding it."""


class HeldIndex(Index, Protocol):
    """An index that holds a copy of the standings, which may differ from the ledger."""

    async def held(self, window: Window, user_ids: Sequence[int]) -> dict[int, Standing]:
        """Return the standing that the copy holds of each user on the board."""

    def members(self, window: Window) -> AsyncIterator[dict[int, Standing]]:
        """Yield the copy in pages; users that move meanwhile may be missing or come twice."""

    async def sample(self, window: Window, size: int) -> list[int]:
        """Return at most `size` user ids: the first of the board and random others."""

    async def count(self, window: Window) -> int:
        """Return how many users are on the board."""


def tied_rank(board: Board, ordinal: int, strictly_better: int, distinct_better: int) -> int:
    """Return the 1-based rank under the board's tie policy, from counts of the users ahead."""
    if board.ties == "ordinal":
        return ordinal
    return 1 + (strictly_better if board.ties == "competition" else distinct_better)


def ranked_in_order(board: Board, ordinal: int, rank: int, places: Iterable[Place]) -> tuple[Place, ...]:
    """Return consecutive places with their ranks, from the ordinal and the rank of the first one. O(n).

    Equal scores share a rank, unless ties are ordinal.
    """
    found: list[Place] = []
    for position, place in enumerate(places, ordinal):
        if found and (place.score != found[-1].score or board.ties == "ordinal"):
            rank = rank + 1 if board.ties == "dense" else position
        found.append(Place(rank, place.user_id, place.score, place.reached_at))
    return tuple(found)


def key_of(board: Board, place: Place) -> bytes:
    """Return the order key of a place."""
    return order_key(sort_score(place.score, board.order), place.reached_at, place.user_id)


def reaches_top(moves: Moves) -> bool:
    """Return whether one of the first MAX_TOP places, or the number of users, may have changed."""
    return any(before is None or after is None or min(before, after) <= MAX_TOP for before, after in moves.values())
