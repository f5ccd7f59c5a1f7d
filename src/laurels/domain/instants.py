"""Instants as the ledger stores them."""

from __future__ import annotations

from datetime import UTC, datetime

from .errors import Code, LaurelsError


def in_utc(instant: datetime | None, path: str) -> datetime | None:
    """Return `instant` as the ledger will return it, so that a replay shows the same receipt to the letter.

    Raises LaurelsError(INVALID_REQUEST), naming `path`, for instants outside the years 1 to 9999 in UTC.
    """
    try:
        return None if instant is None else instant.astimezone(UTC)
    except OverflowError as error:
        raise LaurelsError(
            Code.INVALID_REQUEST, "This instant lies outside the years 1 to 9999 in UTC.", path=path
        ) from error
