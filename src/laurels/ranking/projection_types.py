"""Types and bounds that both writers of the index share: `MemoryProjection` and `RedisProjection`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from ..domain.boards import Window

KEEP_ENDED = timedelta(minutes=5)
"""Time that an ended window stays in the index, for batches that were in flight when it ended."""

OnProgress = Callable[[int, int], None]
"""Called with (done, total) while a window loads."""


@dataclass(frozen=True, slots=True)
class WindowChanged:
    """A window changed; `top` says whether one of its first MAX_TOP places may have.

    `epoch` is empty and `seq` 0 when the index could not be updated and ranks are counted in the ledger.
    """

    window: Window
    epoch: str
    seq: int
    top: bool
