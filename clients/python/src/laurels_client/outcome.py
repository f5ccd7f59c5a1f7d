"""What went wrong, and whether sending the same thing again may turn out well."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from .messages import Action, Result

FIRST_WAIT, LAST_WAIT = 0.2, 5.0
"""Seconds: the ceiling of the first wait between two tries, doubled with each, and of every later one."""

_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


class LaurelsFailure(Exception):
    """No answer that could be used.

    Of a batch of more than one commit: `settled` are the results that had come before, in order, and `remaining` the
    actions without one. Send those again, with the identifiers that they have.
    """

    settled: Sequence[Result] = ()
    remaining: Sequence[Action] = ()

    def of_batch(self, settled: Sequence[Result], remaining: Sequence[Action]) -> Self:
        """Attach what a batch had reached."""
        self.settled = list(settled)
        self.remaining = list(remaining)
        return self


class Refused(LaurelsFailure):
    """The server said no, and would say it again. Nothing was written.

    `code` is one of the API's stable codes; `retry_after`, in seconds, is when the same action may count.
    """

    def __init__(
        self, status: int, code: str, detail: str, request_id: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.request_id = request_id
        self.retry_after = retry_after


class Unsettled(LaurelsFailure):
    """The deadline passed without an answer: it may or may not have counted. Send it again with the same identifiers.

    `identifiers`: what was under way. `last`: what the last try met.
    """

    def __init__(self, identifiers: list[str], last: str) -> None:
        super().__init__(f"no answer before the deadline ({last}): send it again with the same identifiers")
        self.identifiers = identifiers
        self.last = last


def may_settle(status: int) -> bool:
    """Whether this status says "not now" rather than "no"; 0 stands for no reply."""
    return status == 0 or status in _AGAIN


@dataclass(slots=True)
class Patience:
    """How long to wait before the next try; pure, but for `draw`, which answers numbers in [0, 1)."""

    give_up_at: float
    draw: Callable[[], float] = random.random
    tries: int = 0

    def wait(self, now: float, told: float | None) -> float | None:
        """Seconds to wait, or None: the deadline comes first.

        The server's Retry-After is a minimum, with jitter on top so that those who were told the same
        do not come back at once; without one, anywhere below a doubling ceiling (full jitter).
        """
        ceiling = min(LAST_WAIT, FIRST_WAIT * 2**self.tries)
        self.tries += 1
        wait = (told or 0.0) + self.draw() * ceiling
        return None if now + wait >= self.give_up_at else wait
