"""The questions, one module each. `measure(scene)` returns the rows of the table; the first line is its title.

Two modules are not questions: `asked` and `writes` hold parts that questions share.
"""

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
    """The environment of a question. `tick` moves the progress display; `tell` prints notes for the reader."""

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
    """Return name -> function that measures it."""
    return {name: import_module(f".{name}", __name__).measure for name in NAMES}


def titles() -> dict[str, str]:
    """Return name -> title: the first line of its module."""
    modules = {name: sys.modules[ask.__module__] for name, ask in questions().items()}
    return {name: (module.__doc__ or name).splitlines()[0] for name, module in modules.items()}
