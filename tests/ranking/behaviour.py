"""The promises of every index, as one state machine: it answers as a sorted list would, whatever is applied.

A subclass says how a window is opened, how a batch reaches its index, and how a coroutine is waited for.
"""

from __future__ import annotations

import random
from collections.abc import Coroutine
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.ranking.model import Model

from laurels.domain.boards import Ties, Window
from laurels.domain.standings import INT64_MAX, INT64_MIN, Order, Standing
from laurels.ranking.index import Index, Place, key_of

PEOPLE = range(1, 13)
SHADOW = 99
"""A user who is never on the board."""
VERSIONS = st.dictionaries(st.sampled_from(PEOPLE), st.integers(1, 9), min_size=1, max_size=6)
SCORES = [*range(-3, 4), 2**53, 2**53 + 1, INT64_MIN, INT64_MAX]
Batch = dict[int, Standing]


def examples(count: int) -> settings:
    """No shrinking: a failing sequence is short as it is, and shrinking one takes minutes."""
    phases = [Phase.explicit, Phase.reuse, Phase.generate]
    return settings(max_examples=count, stateful_step_count=20, deadline=None, phases=phases)


def standing_of(user: int, version: int, seed: int) -> Standing:
    """A version of a standing is always the same standing: the ledger never writes one twice."""
    rng = random.Random(f"{user}/{version}/{seed}")
    return Standing(rng.choice(SCORES), rng.randint(0, 4), version, rng.random() < 0.2)


class IndexBehaviour(RuleBasedStateMachine):
    """Batches with ties in all three policies, both orders, stale versions, repeats and hidden users."""

    index: Index
    window: Window

    def open_window(self, order: Order, ties: Ties) -> None:
        """Set `index` and `window`, empty."""
        raise NotImplementedError

    def take(self, batch: Batch) -> None:
        """Let the batch reach the index."""
        raise NotImplementedError

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        """The result of a coroutine."""
        raise NotImplementedError

    @initialize(
        seed=st.integers(0, 1_000_000),
        order=st.sampled_from(["desc", "asc"]),
        ties=st.sampled_from(["ordinal", "competition", "dense"]),
    )
    def begin(self, seed: int, order: Order, ties: Ties) -> None:
        self.seed = seed
        self.open_window(order, ties)
        self.model = Model(self.window)

    @rule(versions=VERSIONS)
    def apply(self, versions: dict[int, int]) -> None:
        batch = {user: standing_of(user, version, self.seed) for user, version in versions.items()}
        self.take(batch)
        self.model.apply(list(batch.items()))

    @rule(versions=VERSIONS)
    def apply_twice(self, versions: dict[int, int]) -> None:
        self.apply(versions)
        self.apply(versions)

    def _key(self, row: tuple[int, int, int, int]) -> bytes:
        return key_of(self.window.board, Place(*row))

    def _keys(self, rows: list[tuple[int, int, int, int]]) -> list[bytes]:
        """The keys of all rows, and keys between and beyond them that no user has."""
        held = [self._key(row) for row in rows]
        return [*held, *(key[:23] + bytes([key[23] ^ 1]) for key in held), bytes(24), b"\xff" * 24]

    @invariant()
    def answers_like_the_model(self) -> None:
        if not hasattr(self, "model"):
            return
        rows, top = self.model.rows(), self.wait(self.index.top(self.window, 5))
        assert told(top.places) == rows[:5]
        assert top.total == len(rows)
        for user in PEOPLE:
            around = self.wait(self.index.around(self.window, user, 2))
            assert told(around.places) == self.model.around(user, 2)
        for first in range(1, len(rows) + 3):
            page = self.wait(self.index.page(self.window, first, 3))
            assert told(page.places) == rows[first - 1 : first + 2]
            assert page.total == len(rows)
        for key in self._keys(rows):
            behind = [row for row in rows if self._key(row) > key]
            assert told(self.wait(self.index.after(self.window, key, 3)).places) == behind[:3]
        shadow = Standing(rows[len(rows) // 2][2] if rows else 0, 2, 1)
        place = self.wait(self.index.place_of(self.window, SHADOW, shadow))
        assert _row(place) in self.model.with_one_more(SHADOW, shadow).rows()
        places = self.wait(self.index.places(self.window, PEOPLE))
        assert sorted(told(places.places)) == sorted(rows)
        assert places.total == len(rows)


def told(places: Any) -> list[tuple[int, int, int, int]]:
    return [_row(place) for place in places]


def _row(place: Place) -> tuple[int, int, int, int]:
    return place.rank, place.user_id, place.score, place.reached_at
