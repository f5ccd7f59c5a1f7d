"""Boards as a shadowed user sees them: with the place that the user's standing would take.

No other user's board, rank or total counts that standing. Shadowed users are few, so nothing is cached for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from msgspec.structs import replace

from ..domain.actions import Placement
from ..domain.boards import Board, Window
from ..domain.standings import INT64_MIN, Standing, order_key, sort_score
from ..ledger.db.pool import Pool
from ..ledger.standings import standings
from ..ledger.write.batch import CommittedBatch
from .index import Index, Place, Ranking, key_of
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
        own = await self._own_place(window, user_id)
        return others if own is None else replace(others, places=(own,), total=others.total + 1)

    async def among(self, window: Window, user_id: int, user_ids: Sequence[int]) -> Ranking:
        """Return the places of these users, as `Index.places`, with the user's own place among them."""
        others = await self._index.places(window, [other for other in user_ids if other != user_id])
        own = await self._own_place(window, user_id)
        if own is None or user_id not in user_ids:
            return others
        ordered = sorted(others.places, key=partial(key_of, window.board))
        tied = await self._is_tied(window, own)
        return self._with_own(window.board, replace(others, places=tuple(ordered)), own, len(user_ids), tied=tied)

    async def top(self, window: Window, user_id: int, size: int) -> Ranking:
        """Return the best `size` places, with the user's if it is among them."""
        others = await self._index.top(window, size)
        standing = await self._standing(window, user_id)
        if standing is None:
            return others
        own = Place(0, user_id, standing.score, standing.reached_at)
        return replace(others, places=insert_own(window.board, others.places, own)[:size], total=others.total + 1)

    async def page(self, window: Window, user_id: int, first: int, size: int) -> Ranking:
        """Return `size` places from position `first`; the user's own place takes one."""
        own = await self._own_place(window, user_id)
        if own is None:
            return await self._index.page(window, first, size)
        # One place more in front: it tells on which side of the page the user's own place is.
        others = await self._index.page(window, max(1, first - 1), size + (first > 1))
        tied = await self._is_tied(window, own)
        if first == 1:
            return self._with_own(window.board, others, own, size, tied=tied)
        in_front, *places = others.places or (own,)
        if key_of(window.board, in_front) < key_of(window.board, own):
            return self._with_own(window.board, replace(others, places=tuple(places)), own, size, tied=tied)
        return self._pushed_down(window.board, others, own, size, tied=tied)

    async def after(self, window: Window, user_id: int, key: bytes, size: int) -> Ranking:
        """Return the `size` places behind an order key, the user's own among them."""
        others = await self._index.after(window, key, size)
        own = await self._own_place(window, user_id)
        if own is None:
            return others
        tied = await self._is_tied(window, own)
        if key_of(window.board, own) > key:
            return self._with_own(window.board, others, own, size, tied=tied)
        return self._pushed_down(window.board, others, own, size, tied=tied)

    @staticmethod
    def _pushed_down(board: Board, others: Ranking, own: Place, size: int, *, tied: bool) -> Ranking:
        """Return the places as they are behind the user's own, which is not among them."""
        places = tuple(_behind(board, place, own, tied=tied) for place in others.places[:size])
        return replace(others, places=places, total=others.total + 1)

    @staticmethod
    def _with_own(board: Board, others: Ranking, own: Place, size: int, *, tied: bool) -> Ranking:
        before, after = _split_at(board, others.places, own)
        pushed = (_behind(board, place, own, tied=tied) for place in after)
        return replace(others, places=(*before, own, *pushed)[:size], total=others.total + 1)

    async def _own_place(self, window: Window, user_id: int) -> Place | None:
        standing = await self._standing(window, user_id)
        return None if standing is None else await self._index.place_of(window, user_id, standing)

    async def _is_tied(self, window: Window, own: Place) -> bool:
        """Return whether a user on the board has the same score. Matters only where ties are dense."""
        if window.board.ties != "dense":
            return False
        border = order_key(sort_score(own.score, window.board.order), INT64_MIN, 0)
        behind = (await self._index.after(window, border, 1)).places
        return bool(behind) and behind[0].score == own.score

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
    before, after = _split_at(board, others, own)
    ties = [place for place in (*before[-1:], *after[:1]) if place.score == own.score]
    own = replace(own, rank=own.rank or _rank_among(board, before, own))
    return (*before, own, *(_behind(board, place, own, tied=bool(ties)) for place in after))


def _split_at(board: Board, others: tuple[Place, ...], own: Place) -> tuple[list[Place], tuple[Place, ...]]:
    """Return the places in front of `own`, and those behind it."""
    key = key_of(board, own)
    before = [place for place in others if key_of(board, place) < key]
    return before, others[len(before) :]


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
