"""Failures, and whether sending the same request again may succeed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from .messages import Action, Result

FIRST_WAIT, LAST_WAIT = 0.2, 5.0
"""Seconds: the upper bound of the first wait between two tries, doubled with each, and of every later one."""

_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


class LaurelsFailure(Exception):
    """A call without a usable answer.

    Of a batch of several requests: `settled` are the results of earlier requests, in order, and `remaining` the actions
    without one. Send those again, with their identifiers.
    """

    settled: Sequence[Result] = ()
    remaining: Sequence[Action] = ()

    def of_batch(self, settled: Sequence[Result], remaining: Sequence[Action]) -> Self:
        """Attach the progress of a batch."""
        self.settled = list(settled)
        self.remaining = list(remaining)
        return self


class Refused(LaurelsFailure):
    """The server refused, and would refuse again. Nothing was written.

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
    """No answer came before the deadline: the actions may have counted. Send them again with the same identifiers.

    `identifiers`: the actions in flight. `last`: the failure of the last try.
    """

    def __init__(self, identifiers: list[str], last: str) -> None:
        super().__init__(f"no answer before the deadline ({last}): send it again with the same identifiers")
        self.identifiers = identifiers
        self.last = last


def may_settle(status: int) -> bool:
    """Return whether this status means "not now" rather than "no"; 0 stands for no reply."""
    return status == 0 or status in _AGAIN


@dataclass(slots=True)
class Patience:
    """The waits between tries. Pure except for `draw`, which returns numbers in [0, 1)."""

    give_up_at: float
    draw: Callable[[], float] = random.random
    tries: int = 0

    def wait(self, now: float, retry_after: float | None) -> float | None:
        """Return seconds to wait, or None if the deadline comes first.

        The server's Retry-After is a minimum, with jitter added so that clients that received the same one do not
        return at once; without it, full jitter below a doubling upper bound.
        """
        ceiling = min(LAST_WAIT, FIRST_WAIT * 2**self.tries)
        self.tries += 1
        wait = (retry_after or 0.0) + self.draw() * ceiling
        return None if now + wait >= self.give_up_at else wait
