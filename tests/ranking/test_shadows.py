"""The board as a shadowed user sees it: what it would be with that user, and nobody else's is touched."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.ranking.model import Model

from laurels.domain.boards import Board, Ties, Window
from laurels.domain.calendars import ALL_TIME
from laurels.domain.standings import Order, Standing
from laurels.ranking.index import Place
from laurels.ranking.shadows import insert_own

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


def _places(rows: list[tuple[int, int, int, int]]) -> tuple[Place, ...]:
    return tuple(Place(*row) for row in rows)
