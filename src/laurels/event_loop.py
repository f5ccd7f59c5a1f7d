"""A uvloop event loop whose `close` is bounded in time.

`Loop.close()` waits inside libuv until every handle is closed. It was seen to wait without end for a socket that had no
owner any more. By then all work is stopped and written, so the loop is left open, with a warning.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Coroutine, Iterator
from typing import Any

import structlog
import uvloop

log = structlog.get_logger(__name__)

CLOSE_SECONDS = 5.0

_left: list[asyncio.AbstractEventLoop] = []
"""Loops that could not be closed. The references keep them from being collected, which would close them."""


class Loop(uvloop.Loop):
    """A uvloop loop that closes within CLOSE_SECONDS or is left open."""

    def close(self) -> None:
        closing = threading.Thread(target=self._close_for_good, name="close-loop", daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)
        if closing.is_alive():
            _left.append(self)
            log.warning("the event loop could not be closed and is left open", seconds=CLOSE_SECONDS)

    def _close_for_good(self) -> None:
        super().close()


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine like `asyncio.run`, on such a loop."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(work)


@contextlib.contextmanager
def stopped_by_signals(stop: asyncio.Event) -> Iterator[None]:
    """Let SIGINT and SIGTERM set `stop` while the block runs.

    The handlers are removed while the loop still runs: only then may it be closed in another thread.
    """
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
