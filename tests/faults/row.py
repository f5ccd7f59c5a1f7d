"""A row of the matrix.

A fault is a context manager: it breaks on the way in and mends on the way out. What it takes its dice for, it takes
from the row's own generator, so that the same seed breaks the same thing.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

Break = Callable[[Any, random.Random], AbstractAsyncContextManager[None]]
"""Takes the scene, and dice."""


@dataclass(frozen=True, slots=True)
class Row:
    """`gap`: seconds without an acknowledgement that are allowed. `hold`: seconds for which it stays broken.

    `flawless`: not one request may fail, not even to be asked again.
    """

    name: str
    fault: Break
    gap: float
    hold: float = 5.0
    flawless: bool = False
