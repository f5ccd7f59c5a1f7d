"""Log why tokens are refused, within bounds: a flood of bad tokens must not fill a disk.

Each kind of refusal has a budget of lines. What exceeds it is counted and reported with the next line.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import structlog

from ...concurrency.bounded_dict import BoundedDict

log = structlog.get_logger(__name__)

BURST = 10
REFILL_SECONDS = 6.0
"""Ten lines at once, then one every six seconds, for each kind of refusal."""
KINDS = 500
VALUE_LENGTH = 120
"""Values that a client chose are cut to this length. The token itself is never logged."""


@dataclass(slots=True)
class _Budget:
    lines: float
    at: float
    suppressed: int = 0


class RefusalLog:
    """Logs refused tokens. Holds at most KINDS budgets."""

    def __init__(self) -> None:
        self._budgets: BoundedDict[tuple[str, str], _Budget] = BoundedDict(KINDS)

    def refused(self, issuer: str, check: str, detail: str) -> None:
        """Log that a token which claims this issuer failed a check."""
        budget = self._budget((issuer, check), time.monotonic())
        if budget.lines < 1:
            budget.suppressed += 1
            return
        budget.lines -= 1
        more = {"not_logged": budget.suppressed} if budget.suppressed else {}
        budget.suppressed = 0
        log.warning("external token refused", issuer=shown(issuer), check=check, detail=detail, **more)

    def _budget(self, kind: tuple[str, str], now: float) -> _Budget:
        found = self._budgets.get(kind) or _Budget(BURST, now)
        found.lines = min(BURST, found.lines + (now - found.at) / REFILL_SECONDS)
        found.at = now
        self._budgets.put(kind, found)
        return found


def shown(value: object) -> str:
    """Return a value of an unverified token as the log shows it."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= VALUE_LENGTH else f"{text[:VALUE_LENGTH]}…"
