"""The loop that everything runs on: it ends, whatever is left on it."""

from __future__ import annotations

import asyncio
import threading

import pytest

from laurels import event_loop


def test_a_loop_closes() -> None:
    loop = event_loop.Loop()
    assert loop.run_until_complete(asyncio.sleep(0, "done")) == "done"
    loop.close()
    assert loop.is_closed()


def test_a_loop_that_can_not_be_closed_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopping a node gives the terminal back."""
    never = threading.Event()

    class Stuck(event_loop.Loop):
        def _close_for_good(self) -> None:
            never.wait()

    monkeypatch.setattr(event_loop, "CLOSE_SECONDS", 0.05)
    loop = Stuck()
    loop.close()
    assert not loop.is_closed()
    assert event_loop._left.pop() is loop
    never.set()
    super(Stuck, loop)._close_for_good()
    assert loop.is_closed()
