"""The index in memory answers as a sorted list would, whatever is applied in whatever order."""

from __future__ import annotations

import random
from collections.abc import Coroutine
from typing import TypeVar

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.ranking.model import Model

from laurels.domain.boards import ALL_TIME, Board, Window
from laurels.domain.standings import INT64_MAX, INT64_MIN, Standing
from laurels.ledger.batch import StandingChange
from laurels.ranking.memory import MemoryIndex

T = TypeVar("T")
USERS = st.integers(1, 12)
VERSIONS = st.dictionaries(USERS, st.integers(1, 9), min_size=1, max_size=6)
SCORES = [*range(-3, 4), 2**53, 2**53 + 1, INT64_MIN, INT64_MAX]


def standing_of(user: int, version: int, seed: int) -> Standing:
    """A version of a standing is always the same standing: the ledger never writes one twice."""
    rng = random.Random(f"{user}/{version}/{seed}")
    return Standing(rng.choice(SCORES), rng.randint(0, 4), version, rng.random() < 0.2)


class IndexMachine(RuleBasedStateMachine):
    """Batches with ties, stale versions, hidden users, reloads and rebuilds beside live changes."""

    @initialize(
        seed=st.integers(0, 1_000_000),
        order=st.sampled_from(["desc", "asc"]),
        ties=st.sampled_from(["ordinal", "competition", "dense"]),
    )
    def begin(self, seed: int, order: str, ties: str) -> None:
        self.seed = seed
        self.window = Window(7, Board(1, "b", "B", order=order, ties=ties), ALL_TIME)
        self.index = MemoryIndex("e", first_seq=100)
        self.model = Model(self.window)
        self.fresh = None
        self.stream: list[tuple[int, Standing]] = []

    @rule(versions=VERSIONS)
    def apply(self, versions: dict[int, int]) -> None:
        """The ranks before and after that a batch reports are those of the model before and after."""
        batch = {user: standing_of(user, version, self.seed) for user, version in versions.items()}
        held = self.index.window(self.window)
        before, seq = {user: self.model.rank(user) for user in batch}, held.seq
        changes = [StandingChange(self.window, user, standing) for user, standing in batch.items()]
        shift = self.index.apply(changes).get(self.window.id)
        self.model.apply(list(batch.items()))
        if shift is None:
            assert held.seq == seq
            return
        assert shift.seq == held.seq == seq + 1
        assert shift.ranks == {user: (before[user], self.model.rank(user)) for user in shift.ranks}

    @rule(versions=VERSIONS)
    def apply_twice(self, versions: dict[int, int]) -> None:
        self.apply(versions)
        self.apply(versions)

    @rule()
    def rebuild(self) -> None:
        """A rebuild that starts now and ends later loses nothing that was applied in between."""
        if self.fresh is None:
            self.fresh = self.index.begin_rebuild(self.window)
            self.stream = list(self.model.standings.items())
        else:
            self.fresh.apply([item for item in self.stream if not item[1].hidden])
            self.index.finish_rebuild(self.fresh)
            self.fresh = None

    @rule()
    def reload(self) -> None:
        visible = [(u, s) for u, s in self.model.standings.items() if not s.hidden]
        other = MemoryIndex("f")
        other.window(self.window).load(visible)
        assert self.answers(other) == self.answers(self.index)

    @invariant()
    def answers_like_the_model(self) -> None:
        if not hasattr(self, "model"):
            return
        top, around, places = self.answers(self.index)
        assert top == self.model.rows()[:5]
        assert around == {user: self.model.around(user, 2) for user in range(1, 13)}
        assert places == {row[1]: row for row in self.model.rows()}
        assert len(self.index.window(self.window)) == len(self.model.rows())

    def answers(self, index: MemoryIndex) -> tuple[list, dict, dict]:
        async def ask() -> tuple[list, dict, dict]:
            top = await index.top(self.window, 5)
            around = {user: await index.around(self.window, user, 2) for user in range(1, 13)}
            places = await index.places(self.window, range(1, 13))
            ranked = {user: rows(ranking.places) for user, ranking in around.items()}
            return rows(top.places), ranked, {user: row(place) for user, place in places.items()}

        return finished(ask())


def finished(work: Coroutine[object, object, T]) -> T:
    """The result of a coroutine that has nothing to wait for."""
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the index in memory waited for something")


def row(place: object) -> tuple[int, int, int, int]:
    return (place.rank, place.user_id, place.score, place.reached_at)


def rows(places: object) -> list[tuple[int, int, int, int]]:
    return [row(place) for place in places]


IndexMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=20, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate]
)
TestMemoryIndex = IndexMachine.TestCase
