"""A circuit breaker: calls to a server that does not answer are refused at once instead of waiting in vain.

closed     every call goes through; `failures` in a row open it
open       calls are refused at once for `pause` seconds
half-open  one call goes through at a time: success closes the breaker, failure opens it again
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Literal

from .. import telemetry

State = Literal["closed", "half-open", "open"]
_LEVEL: dict[State, int] = {"closed": 0, "half-open": 1, "open": 2}


class BreakerOpen(Exception):
    """The call was not made: the last ones failed a moment ago."""


class CircuitBreaker:
    """`name` labels the metric. Not thread-safe: it belongs to one event loop."""

    def __init__(
        self, name: str, *, failures: int = 3, pause: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        self._limit = failures
        self._pause = pause
        self._clock = clock
        self._failed = 0
        self._opened_at: float | None = None
        self._probing = False
        self._update_metric()

    @property
    def state(self) -> State:
        if self._opened_at is None:
            return "closed"
        return "open" if self._clock() < self._opened_at + self._pause else "half-open"

    @contextlib.contextmanager
    def attempt(self, *failures: type[BaseException]) -> Iterator[None]:
        """Let one call through and count its outcome: only `failures` count against the server.

        Raises BreakerOpen without running the block.
        """
        probe = self._admit()
        try:
            yield
        except failures:
            self._fail()
            raise
        else:
            self._close()
        finally:
            if probe:
                self._probing = False
            self._update_metric()

    def _admit(self) -> bool:
        """Return whether the admitted call is a probe. Raises BreakerOpen."""
        if self.state == "closed":
            return False
        if self.state == "open" or self._probing:
            raise BreakerOpen(f"{self.name} failed {self._failed} times in a row and is not called for a moment")
        self._probing = True
        self._update_metric()
        return True

    def _fail(self) -> None:
        self._failed += 1
        if self._failed >= self._limit:
            if self._opened_at is None:
                telemetry.BREAKER_OPENED.labels(self.name).inc()
            self._opened_at = self._clock()

    def _close(self) -> None:
        self._failed = 0
        self._opened_at = None

    def _update_metric(self) -> None:
        telemetry.BREAKER_STATE.labels(self.name).set(_LEVEL[self.state])
