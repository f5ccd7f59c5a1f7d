"""The board as a shadowed user sees it: with the place that the user's standing would take.

Nobody else's board, rank or total counts that standing. Shadowed users are few, so what they ask is read anew.
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
    """Answers from `index` and, for what the index does not hold, from the ledger."""

    def __init__(self, index: Index, pool: Pool) -> None:
        self._index = index
        self._ledger = SqlIndex(pool)
        self._pool = pool

    async def place(self, window: Window, user_id: int) -> Ranking:
        """The place the user would have, as Index.places answers; `total` counts the user."""
        others = await self._index.places(window, [])
        standing = await self._standing(window, user_id)
        if standing is None:
            return others
        place = await self._index.place_of(window, user_id, standing)
        return replace(others, places=(place,), total=others.total + 1)

    async def top(self, window: Window, user_id: int, size: int) -> Ranking:
        """The best `size` places with the user's among them, if it is one."""
        others = await self._index.top(window, size)
        standing = await self._standing(window, user_id)
        if standing is None:
            return others
        mine = Place(0, user_id, standing.score, standing.reached_at)
        return replace(others, places=insert_own(window.board, others.places, mine)[:size], total=others.total + 1)

    async def around(self, window: Window, user_id: int, radius: int) -> Ranking:
        """The user's place with its neighbours; empty if nothing counts there."""
        found = await self._ledger.around_hidden(window, user_id, radius)
        mine = next((place for place in found.places if place.user_id == user_id), None)
        if mine is None:
            return found
        others = tuple(place for place in found.places if place is not mine)
        return replace(found, places=insert_own(window.board, others, mine), total=found.total + 1)

    async def _standing(self, window: Window, user_id: int) -> Standing | None:
        found = await standings.of_users(self._pool, [window], [user_id])
        return next((change.standing for change in found if not change.standing.void), None)


def insert_own(board: Board, others: tuple[Place, ...], mine: Place) -> tuple[Place, ...]:
    """`others`, best first, with `mine` where it belongs, and the ranks they would have with it.

    A rank of 0 in `mine` is counted from the others, who then must be the first of the board.
    """
    key = _key(board, mine)
    before = [place for place in others if _key(board, place) < key]
    after = others[len(before) :]
    ties = [place for place in (*before[-1:], *after[:1]) if place.score == mine.score]
    mine = replace(mine, rank=mine.rank or _counted(board, before, mine))
    return (*before, mine, *(_behind(board, place, mine, tied=bool(ties)) for place in after))


def _key(board: Board, place: Place) -> bytes:
    return order_key(sort_score(place.score, board.order), place.reached_at, place.user_id)


def _counted(board: Board, before: list[Place], mine: Place) -> int:
    if board.ties != "ordinal" and before and before[-1].score == mine.score:
        return before[-1].rank
    return (before[-1].rank if board.ties == "dense" and before else len(before)) + 1


def _behind(board: Board, place: Place, mine: Place, *, tied: bool) -> Place:
    """One who stands behind: pushed down, unless the tie policy says that the place is shared."""
    stays = board.ties != "ordinal" and (place.score == mine.score or (board.ties == "dense" and tied))
    return place if stays else replace(place, rank=place.rank + 1)


async def shadow_placements(index: Index, window: Window, batch: CommittedBatch) -> dict[int, Placement]:
    """What the receipts of shadowed users tell: the places they would have had before and after the batch."""
    if not batch.shadows:
        return {}
    seq = (await index.position(window)).seq
    told = {}
    for user_id, standings_ in batch.shadows.items():
        before, after = [
            None if standing is None else (await index.place_of(window, user_id, standing)).rank
            for standing in standings_
        ]
        told[user_id] = Placement(after, before, seq, "exact")
    return told
