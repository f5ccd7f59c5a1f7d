"""Who is still there: heartbeats and pings from one timer, and an end to those who don't read.

Viewers sit in the slots of a wheel; every tick looks after one slot, so that ten thousand sockets are
never written at once and none has a timer of its own. A browser answers pings by itself, so one
from which nothing came between two of its turns is gone.
"""

from __future__ import annotations

import asyncio
import itertools

from .. import telemetry
from .protocol import Close
from .viewer import Viewer

TICK = 0.5
SLOTS = 25
"""A turn of the wheel takes 12.5 s: a ping each, a heartbeat every second one."""
SLOW_SECONDS = 10.0
"""A reader who is behind for so long is closed with SLOW."""
LOOK = 0.25
"""Seconds between two looks at those who are behind."""


class Pulse:
    """Run `beat` and `watch_slow` in tasks."""

    def __init__(self) -> None:
        self._slots: list[dict[Viewer, None]] = [{} for _ in range(SLOTS)]
        self._next = itertools.count()
        self._behind: set[Viewer] = set()

    def add(self, viewer: Viewer) -> int:
        """Its slot; `remove` wants it back."""
        slot = next(self._next) % SLOTS
        self._slots[slot][viewer] = None
        return slot

    def remove(self, viewer: Viewer, slot: int) -> None:
        self._slots[slot].pop(viewer, None)
        self._behind.discard(viewer)

    def fell_behind(self, viewer: Viewer) -> None:
        viewer.behind_since = asyncio.get_running_loop().time()
        self._behind.add(viewer)

    def caught_up(self, viewer: Viewer) -> None:
        viewer.behind_since = None
        self._behind.discard(viewer)

    async def beat(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for turn in itertools.count(1):
            await asyncio.sleep(began + turn * TICK - loop.time())
            with_heartbeat = turn // SLOTS % 2 == 1
            for viewer in list(self._slots[turn % SLOTS]):
                self._look_after(viewer, with_heartbeat=with_heartbeat)

    def _look_after(self, viewer: Viewer, *, with_heartbeat: bool) -> None:
        if not viewer.ready:
            viewer.heard = True  # it is not read from while it is behind: `watch_slow` decides
            return
        if not viewer.heard:
            viewer.cut(Close.SILENT)
            return
        beat = viewer.beat(with_heartbeat=with_heartbeat)
        if beat:
            viewer.write(beat)

    async def watch_slow(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(LOOK)
            buffered = 0
            for viewer in list(self._behind):
                buffered += viewer.transport.get_write_buffer_size()
                since = viewer.behind_since
                if since is not None and loop.time() - since > SLOW_SECONDS:
                    viewer.dismiss(Close.SLOW)
            telemetry.SOCKETS_BEHIND.set(len(self._behind))
            telemetry.BUFFERED_BYTES.set(buffered)
