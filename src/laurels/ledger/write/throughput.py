"""Measure how many actions are decided per second, for operators."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

SAMPLES = 10


class Throughput:
    """Samples `decided`, a count that only grows. Call `sample` about once a second."""

    def __init__(self, decided: Callable[[], int], clock: Callable[[], float] = time.monotonic) -> None:
        self._decided = decided
        self._clock = clock
        self._samples: deque[tuple[float, int]] = deque(maxlen=SAMPLES + 1)

    def sample(self) -> None:
        self._samples.append((self._clock(), self._decided()))

    def per_second(self) -> float:
        """Return the mean rate over the last SAMPLES samples; 0 until there are two."""
        if len(self._samples) < 2:
            return 0.0
        (began, before), (ended, after) = self._samples[0], self._samples[-1]
        return (after - before) / (ended - began)
