"""One module per question. Each has `measure(scene)`, which answers with the rows of the table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ..measure import Row, Sizes, Tell, Tick
from ..stage import Stage


@dataclass(frozen=True, slots=True)
class Scene:
    """What a question is given. `tick` moves the progress display; `tell` is for lines that must be read."""

    stage: Stage
    sizes: Sizes
    tick: Tick
    tell: Tell


Question = Callable[[Scene], Coroutine[Any, Any, list[Row]]]


NAMES = (
    *("completes", "latency", "batches", "stream", "scoreboard", "reads", "fanout", "screens", "sockets"),
    *("ranks", "members", "node", "shared_index", "nodes", "caches", "growth"),
)
"""In the order of the table."""


def questions() -> dict[str, Question]:
    """Name -> how to answer it."""
    return {name: import_module(f".{name}", __name__).measure for name in NAMES}


def titles() -> dict[str, str]:
    """Name -> the question in words: the first line of its module."""
    modules = {name: sys.modules[ask.__module__] for name, ask in questions().items()}
    return {name: (module.__doc__ or name).splitlines()[0] for name, module in modules.items()}
