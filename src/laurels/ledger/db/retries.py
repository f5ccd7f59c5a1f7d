"""Retry background work with growing pauses; log each kind of failure once and count every failure."""

from __future__ import annotations

import structlog

from ... import telemetry
from ...concurrency.backoff import Backoff
from ...domain.errors import LaurelsError

log = structlog.get_logger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0
"""Seconds after the first failure in a row; doubled with each, up to the longest."""


class Retries:
    """The failures in a row of one piece of background work. `pause`: seconds to wait before the next try."""

    def __init__(self, chore: str) -> None:
        self.pause = 0.0
        self._chore = chore
        self._backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        self._logged: set[str] = set()

    def failed(self, error: Exception) -> None:
        refusal = error if isinstance(error, LaurelsError) else None
        kind = str(refusal.code) if refusal else type(error).__name__
        telemetry.CHORE_FAILURES.labels(self._chore, kind).inc()
        if kind not in self._logged:
            reason = refusal.detail if refusal else str(error) or repr(error)
            log.warning("chore failed, tried again", chore=self._chore, kind=kind, reason=reason)
            self._logged.add(kind)
        # A ledger that is away may be back at once, and the journal's next look makes the node ready again.
        if refusal:
            self._backoff.reset()
        self.pause = 0.0 if refusal else self._backoff.next_pause()

    def succeeded(self) -> None:
        if self._logged:
            log.info("chore works again", chore=self._chore)
            self._logged.clear()
        self._backoff.reset()
        self.pause = 0.0
