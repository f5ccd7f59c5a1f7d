"""The index in memory: the common behaviour, the ranks that a batch reports, rebuilds beside live changes."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from hypothesis.stateful import rule
from tests.ranking.behaviour import PEOPLE, Batch, IndexBehaviour, examples, told

from laurels.domain.boards import Board, Ties, Window
from laurels.domain.calendars import ALL_TIME
from laurels.domain.standings import Order, Standing
from laurels.ledger.write.batch import StandingChange
from laurels.ranking.memory_index import MemoryIndex


class MemoryIndexMachine(IndexBehaviour):
    index: MemoryIndex

    def open_window(self, order: Order, ties: Ties) -> None:
        self.window = Window(7, Board(1, "b", "B", order=order, ties=ties), ALL_TIME)
        self.index = MemoryIndex("e", first_seq=100)
        self.fresh: Any = None
        self.stream: list[tuple[int, Standing]] = []

    def take(self, batch: Batch) -> None:
        """The ranks before and after that a batch reports are those of the model before and after; seq grows by 1."""
        held = self.index.window(self.window)
        before, seq = {user: self.model.rank(user) for user in batch}, held.seq
        changes = [StandingChange(self.window, user, standing) for user, standing in batch.items()]
        shift = self.index.apply(changes).get(self.window.id)
        self.model.apply(list(batch.items()))
        assert held.seq == seq + (shift is not None)
        if shift is not None:
            assert shift.seq == held.seq
            assert shift.ranks == {user: (before[user], self.model.rank(user)) for user in shift.ranks}

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        try:
            work.send(None)
        except StopIteration as stop:
            return stop.value
        raise AssertionError("the index in memory waited for something")

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
        """Loading at once gives the same order as applying one by one."""
        other = MemoryIndex("f")
        other.window(self.window).load([(u, s) for u, s in self.model.standings.items() if not s.hidden])
        mine, theirs = (index.places(self.window, PEOPLE) for index in (self.index, other))
        assert told(self.wait(theirs).places) == told(self.wait(mine).places)


MemoryIndexMachine.TestCase.settings = examples(60)
TestMemoryIndex = MemoryIndexMachine.TestCase
