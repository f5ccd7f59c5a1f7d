"""Restart parts that have ended by themselves, with growing delays, and report it.

A part that was stopped or killed by command has no pid file any more: it stays down until it is started by command.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .part import Part
from .supervisor import Failed, Report, Supervisor

FIRST_SECONDS, LAST_SECONDS = 1.0, 60.0
"""Delay between an end and the next start: at first, and at most."""
STEADY_SECONDS = 120.0
"""A part that has run for this long gets FIRST_SECONDS again."""


@dataclass(slots=True)
class _Record:
    pause: float = FIRST_SECONDS
    due: float | None = None
    started: float = 0.0


@dataclass(slots=True)
class Keeper:
    """Call `restart_ended` regularly."""

    supervisor: Supervisor
    parts: Sequence[Part]
    report: Report
    clock: Callable[[], float] = time.monotonic
    _records: dict[str, _Record] = field(default_factory=dict)

    def restart_ended(self) -> None:
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
            self.report(
                f"{part.name} has ended and will be restarted in {record.pause:.0f} s. Its last output: {words}"
            )
        elif now >= record.due:
            record.due, record.started, record.pause = None, now, min(2 * record.pause, LAST_SECONDS)
            try:
                self.supervisor.revive(part)
            except Failed as error:
                self.report(f"{error}. Retrying.")
