"""Boards as a shadowed user sees them: with the place that the user's standing would take.

No other user's board, rank or total counts that standing. Shadowed users are few, so nothing is cached for them.
"""

from __future__ import annotations

from msgspec.structs import replace

from ..domain.actions import Placement
from ..domain.boards import Board, Window
from ..domain.standings import Standing, order_key, sort_score
from ..ledger.db.pool import Pool
from ..ledger.standings import standings
from ..ledger.write.batch import CommittedBatch
from .index import Index, Place, Ranking
from .sql_index import SqlIndex


class Shadows:
    """Reads `index` and, for what the index does not hold, the ledger."""

    def __init__(self, index: Index, pool: Pool) -> None:
        self._index = index
        self._ledger = SqlIndex(pool)
        self._pool = pool

    async def place(self, window: Window, user_id: int) -> Ranking:
        """Return the place the user would have, as Index.places does; `total` counts the user."""
        others = await self._index.places(window, [])
        standing = await self._standing(window, user_id)
        if standing is None:
            return others
        place = await self._index.place_of(window, user_id, standing)
        return replace(others, places=(place,), total=others.total + 1)

    async def top(self, window: Window, user_id: int, size: int) -> Ranking:
        """Return the best `size` places, with the user's if it is among them."""
        others = await self._index.top(window, size)
        standing = await self._standing(window, user_id)
        if standing is None:
            return others
        own = Place(0, user_id, standing.score, standing.reached_at)
        return replace(others, places=insert_own(window.board, others.places, own)[:size], total=others.total + 1)

    async def around(self, window: Window, user_id: int, radius: int) -> Ranking:
        """Return the user's place with its neighbours; empty if the user has no points there."""
        found = await self._ledger.around_hidden(window, user_id, radius)
        own = next((place for place in found.places if place.user_id == user_id), None)
        if own is None:
            return found
        others = tuple(place for place in found.places if place is not own)
        return replace(found, places=insert_own(window.board, others, own), total=found.total + 1)

    async def _standing(self, window: Window, user_id: int) -> Standing | None:
        found = await standings.of_users(self._pool, [window], [user_id])
        return next((change.standing for change in found if not change.standing.void), None)


def insert_own(board: Board, others: tuple[Place, ...], own: Place) -> tuple[Place, ...]:
    """Return `others`, best first, with `own` in its place and the ranks they would have with it.

    A rank of 0 in `own` is computed from the others, which then must be the first of the board.
    """
    key = _key(board, own)
    before = [place for place in others if _key(board, place) < key]
    after = others[len(before) :]
    ties = [place for place in (*before[-1:], *after[:1]) if place.score == own.score]
    own = replace(own, rank=own.rank or _rank_among(board, before, own))
    return (*before, own, *(_behind(board, place, own, tied=bool(ties)) for place in after))


def _key(board: Board, place: Place) -> bytes:
    return order_key(sort_score(place.score, board.order), place.reached_at, place.user_id)


def _rank_among(board: Board, before: list[Place], own: Place) -> int:
    if board.ties != "ordinal" and before and before[-1].score == own.score:
        return before[-1].rank
    return (before[-1].rank if board.ties == "dense" and before else len(before)) + 1


def _behind(board: Board, place: Place, own: Place, *, tied: bool) -> Place:
    """Return a place behind `own`: one rank lower, unless the tie policy shares the rank."""
    stays = board.ties != "ordinal" and (place.score == own.score or (board.ties == "dense" and tied))
    return place if stays else replace(place, rank=place.rank + 1)


async def shadow_placements(index: Index, window: Window, batch: CommittedBatch) -> dict[int, Placement]:
    """Return placements for receipts of shadowed users: the ranks they would have had before and after the batch."""
    if not batch.shadows:
        return {}
    seq = (await index.position(window)).seq
    placements = {}
    for user_id, standings_ in batch.shadows.items():
        before, after = [
            None if standing is None else (await index.place_of(window, user_id, standing)).rank
            for standing in standings_
        ]
        placements[user_id] = Placement(after, before, seq, "exact")
    return placements
