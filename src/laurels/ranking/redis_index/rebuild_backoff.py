"""Back-off for nodes at different Redis servers that replace each other's copies in turn.

The ledger names one copy by its epoch. When nodes are configured for different servers, a node does not find that copy
on its own server and builds another, and so on in turn. The first build is never delayed: after a real failover it is
the remedy.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ...concurrency.backoff import Backoff

FIRST_PAUSE = 5.0
LONGEST_PAUSE = 300.0


@dataclass(slots=True)
class _LastBuild:
    epoch: str
    not_before: float
    pause: float
    backoff: Backoff


class RebuildBackoff:
    """Remembers what this process built last, per window, and delays it after another node replaced that."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_builds: dict[int, _LastBuild] = {}

    def built(self, window_id: int, epoch: str, replaced: str | None) -> bool:
        """Record that this process built `epoch` in place of `replaced`; return whether nodes are in conflict.

        They are when `replaced` had replaced this process' own copy a moment ago. Each conflict doubles the pause.
        """
        now, last = self._clock(), self._last_builds.get(window_id)
        conflict = last is not None and replaced not in (None, last.epoch) and now < last.not_before + last.pause
        backoff = last.backoff if last is not None and conflict else Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        pause = backoff.next_pause()
        self._last_builds[window_id] = _LastBuild(epoch, now + pause, pause, backoff)
        return conflict

    def may_build(self, window_id: int, current: str | None) -> bool:
        """Return whether to build now. `current`: the epoch that the ledger names.

        A node whose own copy is still the current one lost it, and builds at once.
        """
        last = self._last_builds.get(window_id)
        return last is None or current in (None, last.epoch) or self._clock() >= last.not_before
