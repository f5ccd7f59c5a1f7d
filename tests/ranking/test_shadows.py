"""The board as a shadowed user sees it: what it would be with that user, and no one else's is touched."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from tests.ranking.model import Model

from laurels.domain.boards import Board, Ties, Window
from laurels.domain.calendars import ALL_TIME
from laurels.domain.standings import Order, Standing
from laurels.ranking.index import Place, key_of
from laurels.ranking.memory_index import MemoryIndex
from laurels.ranking.shadows import Shadows, insert_own

ME = 50
SCORES = st.integers(-2, 2)
TIMES = st.integers(0, 2)
OTHERS = st.dictionaries(st.integers(1, 99).filter(lambda user: user != ME), st.tuples(SCORES, TIMES), max_size=8)


@given(
    OTHERS, SCORES, TIMES, st.sampled_from(["desc", "asc"]), st.sampled_from(["ordinal", "competition", "dense"]),
    st.integers(1, 10), st.integers(0, 4),
)  # fmt: skip
def test_my_row_is_where_it_would_be_and_so_is_everybody_behind_it(
    others: dict[int, tuple[int, int]], score: int, at: int, order: Order, ties: Ties, size: int, radius: int
) -> None:
    """Under every tie policy: the top list, and my neighbours, as of a board that I am on."""
    window = Window(1, Board(1, "b", "B", order, ties=ties), ALL_TIME)
    model = Model(window, {user: Standing(*one, 1) for user, one in others.items()})
    whole = model.with_one_more(ME, Standing(score, at, 1))
    mine = Place(0, ME, score, at)
    top = insert_own(window.board, _places(model.rows()[:size]), mine)[:size]
    assert top == _places(whole.rows()[:size])
    around = _places(whole.around(ME, radius))
    true = dict(zip([row[1] for row in model.rows()], _places(model.rows()), strict=True))
    neighbours = tuple(true[place.user_id] for place in around if place.user_id != ME)
    me = next(place for place in around if place.user_id == ME)
    assert insert_own(window.board, neighbours, me) == around


class ShadowsOf(Shadows):
    """The user's standing is given instead of read from the ledger."""

    def __init__(self, index: MemoryIndex, standing: Standing) -> None:
        self._index = index
        self._given = standing

    async def _standing(self, window: Window, user_id: int) -> Standing | None:
        del window, user_id
        return self._given


@given(
    OTHERS, SCORES, TIMES, st.sampled_from(["desc", "asc"]), st.sampled_from(["ordinal", "competition", "dense"]),
    st.integers(1, 4),
)  # fmt: skip
def test_my_pages_are_those_of_a_board_that_i_am_on(
    others: dict[int, tuple[int, int]], score: int, at: int, order: Order, ties: Ties, size: int
) -> None:
    """From every position and behind every row, under every tie policy."""
    window = Window(1, Board(1, "b", "B", order, ties=ties), ALL_TIME)
    model = Model(window, {user: Standing(*one, 1) for user, one in others.items()})
    whole = _places(model.with_one_more(ME, Standing(score, at, 1)).rows())
    index = MemoryIndex("e")
    index.window(window).load([(user, standing) for user, standing in model.standings.items()])
    shadows = ShadowsOf(index, Standing(score, at, 1))
    for first in range(1, len(whole) + 3):
        page = asyncio.run(shadows.page(window, ME, first, size))
        assert (page.places, page.total) == (whole[first - 1 :][:size], len(whole))
    for position, place in enumerate(whole, 1):
        after = asyncio.run(shadows.after(window, ME, key_of(window.board, place), size))
        assert (after.places, after.total) == (whole[position:][:size], len(whole))


def _places(rows: list[tuple[int, int, int, int]]) -> tuple[Place, ...]:
    return tuple(Place(*row) for row in rows)
