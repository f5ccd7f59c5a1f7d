"""Remember which committed batches are in the index.

A replay may acknowledge a batch that its own node never applied to the index: the reply to its COMMIT was lost, or the
node died. So a replayed action is acknowledged only when its batch is confirmed (ADR 22).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from ..concurrency.bounded_dict import BoundedDict
from ..domain.actions import Recorded

REMEMBERED = 20_000
"""Batches; one that was forgotten is checked again."""


class ConfirmedBatches:
    """Batch ids, each with the time from which every node shows it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._shown_at: BoundedDict[int, float] = BoundedDict(REMEMBERED)

    def add(self, batch_ids: Iterable[int], *, after: float = 0.0) -> None:
        """Record that every node shows these batches in `after` seconds at the latest."""
        shown_at = self._clock() + after
        for batch_id in batch_ids:
            if batch_id not in self._shown_at:
                self._shown_at.put(batch_id, shown_at)

    def missing(self, actions: Sequence[Recorded]) -> dict[int, set[int]]:
        """Return batch id -> users, for the actions whose batch is not confirmed."""
        batches: dict[int, set[int]] = {}
        for action in actions:
            if action.batch_id not in self._shown_at:
                batches.setdefault(action.batch_id, set()).add(action.user_id)
        return batches

    def wait(self, actions: Sequence[Recorded]) -> float:
        """Return the seconds until all of these actions' batches are shown; all must be confirmed."""
        latest = max((self._shown_at.get(action.batch_id, 0.0) for action in actions), default=0.0)
        return max(0.0, latest - self._clock())
