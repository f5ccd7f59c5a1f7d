"""Starts again what has ended by itself, ever later when it ends again, and says so.

A part that was stopped or killed by command has no pid file any more: it stays down until somebody starts it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .part import Part
from .supervisor import Failed, Supervisor, Told

FIRST_SECONDS, LAST_SECONDS = 1.0, 60.0
"""Between an end and the next start: at first, and at most."""
STEADY_SECONDS = 120.0
"""Who has run for so long starts with FIRST_SECONDS again."""


@dataclass(slots=True)
class _Record:
    pause: float = FIRST_SECONDS
    due: float | None = None
    started: float = 0.0


@dataclass(slots=True)
class Keeper:
    """Call `look_after` now and then."""

    supervisor: Supervisor
    parts: Sequence[Part]
    told: Told
    clock: Callable[[], float] = time.monotonic
    _records: dict[str, _Record] = field(default_factory=dict)

    def look_after(self) -> None:
        for part in self.parts:
            if self.supervisor.has_ended(part):
                self._revive(part, self._records.setdefault(part.name, _Record()))

    def _revive(self, part: Part, record: _Record) -> None:
        now = self.clock()
        if record.due is None:
            if now - record.started > STEADY_SECONDS:
                record.pause = FIRST_SECONDS
            record.due = now + record.pause
            words = self.supervisor.last_words(part)
            self.told(f"{part.name} has ended and is started again in {record.pause:.0f} s. Its last words: {words}")
        elif now >= record.due:
            record.due, record.started, record.pause = None, now, min(2 * record.pause, LAST_SECONDS)
            try:
                self.supervisor.revive(part)
            except Failed as error:
                self.told(f"{error}. It is tried again.")
