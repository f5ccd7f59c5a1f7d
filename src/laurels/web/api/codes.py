"""Groups of error codes that several routes share."""

from __future__ import annotations

from ...domain.errors import Code

LEDGER_AWAY = (Code.OVERLOADED, Code.DATABASE_UNAVAILABLE)
"""The ledger is too busy to answer in time, or does not answer."""
RANKS_AWAY = LEDGER_AWAY
"""Also when the index in Redis is not available and too many ranks are counted in the ledger."""
WRITE = (Code.OVERLOADED, Code.DATABASE_UNAVAILABLE, Code.OUTCOME_UNKNOWN)
VERDICTS = (
    Code.ACTION_TYPE_UNKNOWN,
    Code.ACTION_TYPE_INACTIVE,
    Code.SERVER_ONLY,
    Code.TICKET_REQUIRED,
    Code.TICKET_INVALID,
    Code.TICKET_NOT_YOURS,
    Code.TICKET_USED,
    Code.TICKET_TOO_EARLY,
    Code.TICKET_EXPIRED,
    Code.TICKET_OVERLAPS,
    Code.COMPLETED_IN_FUTURE,
    Code.COOLDOWN_ACTIVE,
    Code.DAILY_CAP_REACHED,
    Code.TOTAL_CAP_REACHED,
    Code.HOUR_CAP_REACHED,
    Code.MINUTE_CAP_REACHED,
    Code.DAILY_POINTS_REACHED,
    Code.NOT_STARTED,
    Code.ENDED,
    Code.COMPLETED_TOO_LONG_AGO,
    Code.METADATA_INVALID,
    Code.REQUIREMENT_MISSING,
    Code.ALREADY_CLAIMED,
    Code.SCORE_OVERFLOW,
    Code.ACTION_UNWRITABLE,
)
