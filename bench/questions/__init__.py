"""One module per question. Each has `measure(scene)`, which answers with the rows of the table."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
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


def questions() -> dict[str, Question]:
    """Name -> how to answer it, in the order of the table."""
    from . import batches, completes, fanout, frames, latency, members, ranks, scoreboard, shared_index, sockets

    return {
        "completes": completes.measure,
        "latency": latency.measure,
        "batches": batches.measure,
        "scoreboard": scoreboard.measure,
        "fanout": fanout.measure,
        "sockets": sockets.measure,
        "frames": frames.measure,
        "ranks": ranks.measure,
        "members": members.measure,
        "shared_index": shared_index.measure,
    }


def titles() -> dict[str, str]:
    """Name -> the question in words: the first line of its module, without its letter."""
    modules = {name: sys.modules[ask.__module__] for name, ask in questions().items()}
    return {name: (module.__doc__ or name).splitlines()[0].split(") ")[-1] for name, module in modules.items()}
