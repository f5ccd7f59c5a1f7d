"""Compare a line with the stored row: only an equal one counts as present."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .records import Line


def difference(line: Line[Any], stored: Mapping[str, Any], skip: frozenset[str] = frozenset()) -> str | None:
    """Return the first column that the line gives with another value than `stored`, without those in `skip`."""
    return next(
        (name for name in sorted(line.given - skip) if name in stored and getattr(line.record, name) != stored[name]),
        None,
    )


def repeats_differently(line: Line[Any], earlier: Line[Any]) -> str | None:
    """Return the first column in which a line differs from an earlier one about the same row."""
    return next(
        (
            name
            for name in sorted(line.given | earlier.given)
            if getattr(line.record, name) != getattr(earlier.record, name)
        ),
        None,
    )
