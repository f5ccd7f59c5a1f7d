"""Exponential back-off."""

from __future__ import annotations


class Backoff:
    """Pauses in seconds: `first` after the first failure in a row, doubled with each further one, `longest` at most."""

    __slots__ = ("_first", "_longest", "_next")

    def __init__(self, first: float, longest: float) -> None:
        self._first = first
        self._longest = longest
        self._next = first

    def next_pause(self) -> float:
        """Return how long to wait now, and double the pause that follows."""
        pause, self._next = self._next, min(self._next * 2, self._longest)
        return pause

    def reset(self) -> None:
        """Start again at the first pause, after a success."""
        self._next = self._first
