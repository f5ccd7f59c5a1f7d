"""Two nodes at different Redis servers each replace the copy that the other built: ever more slowly.

Copies lie under an epoch, and the ledger names one. Under a lasting split the node at the other server
does not find that one, builds its own, and so on in turn. The first build is never put off: after a real
failover it is the cure.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

FIRST_PAUSE = 5.0
LONGEST_PAUSE = 300.0


@dataclass(slots=True)
class _LastBuild:
    epoch: str
    not_before: float
    pause: float


class RebuildBackoff:
    """What this process built last, per window, and how long it waits when somebody else replaced that."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._turns: dict[int, _LastBuild] = {}

    def built(self, window_id: int, epoch: str, replaced: str | None) -> bool:
        """This process built `epoch`. Is it a contest: did it replace what replaced its own a moment ago?

        Each time that it is, the pause after it doubles.
        """
        now, last = self._clock(), self._turns.get(window_id)
        pause, contested = FIRST_PAUSE, False
        if last is not None and replaced not in (None, last.epoch) and now < last.not_before + last.pause:
            pause, contested = min(2 * last.pause, LONGEST_PAUSE), True
        self._turns[window_id] = _LastBuild(epoch, now + pause, pause)
        return contested

    def may_build(self, window_id: int, counts: str | None) -> bool:
        """`counts`: the epoch that the ledger names now. Who lost their own copy builds at once."""
        last = self._turns.get(window_id)
        return last is None or counts in (None, last.epoch) or self._clock() >= last.not_before
