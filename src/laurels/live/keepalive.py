"""Heartbeats and pings on one timer, and eviction of slow consumers.

Connections are spread over the slots of a timer wheel. Each tick serves one slot, so ten thousand sockets are never
written at once and none needs a timer of its own. Browsers answer pings by themselves: a connection from which nothing
arrived between two of its turns is dead.
"""

from __future__ import annotations

import asyncio
import itertools

from .. import telemetry
from ..concurrency.periodic import run_periodically
from .client_connection import ClientConnection
from .protocol import Close

TICK_SECONDS = 0.5
SLOTS = 25
"""A turn of the wheel takes 12.5 s. Each connection gets a ping per turn, a heartbeat every second turn."""
SLOW_SECONDS = 10.0
"""A connection that is slow for so long is closed with SLOW."""
SLOW_CHECK_SECONDS = 0.25
"""Seconds between two checks of slow connections."""


class Keepalive:
    """Run `run` and `evict_slow` in tasks."""

    def __init__(self) -> None:
        self._slots: list[dict[ClientConnection, None]] = [{} for _ in range(SLOTS)]
        self._next = itertools.count()
        self._slow: set[ClientConnection] = set()

    def add(self, connection: ClientConnection) -> int:
        """Return the connection's slot, to be passed to `remove`."""
        slot = next(self._next) % SLOTS
        self._slots[slot][connection] = None
        return slot

    def remove(self, connection: ClientConnection, slot: int) -> None:
        self._slots[slot].pop(connection, None)
        self._slow.discard(connection)

    def on_slow(self, connection: ClientConnection) -> None:
        connection.slow_since = asyncio.get_running_loop().time()
        self._slow.add(connection)

    def on_writable(self, connection: ClientConnection) -> None:
        connection.slow_since = None
        self._slow.discard(connection)

    async def run(self) -> None:
        """Ping one slot per tick, until cancelled."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for turn in itertools.count(1):
            await asyncio.sleep(began + turn * TICK_SECONDS - loop.time())
            with_heartbeat = turn // SLOTS % 2 == 1
            for connection in list(self._slots[turn % SLOTS]):
                self._check(connection, with_heartbeat=with_heartbeat)

    def _check(self, connection: ClientConnection, *, with_heartbeat: bool) -> None:
        if not connection.ready:
            connection.heard = True  # nothing is read from a slow connection: `evict_slow` decides
            return
        if not connection.heard:
            connection.abort(Close.SILENT)
            return
        frames = connection.keepalive_frames(with_heartbeat=with_heartbeat)
        if frames:
            connection.write(frames)

    async def evict_slow(self) -> None:
        """Close connections that have been slow for SLOW_SECONDS, until cancelled."""
        await run_periodically(SLOW_CHECK_SECONDS, self._evict_slow)

    async def _evict_slow(self) -> None:
        now = asyncio.get_running_loop().time()
        buffered = 0
        for connection in list(self._slow):
            buffered += connection.transport.get_write_buffer_size()
            since = connection.slow_since
            if since is not None and now - since > SLOW_SECONDS:
                connection.close(Close.SLOW)
        telemetry.SLOW_SOCKETS.set(len(self._slow))
        telemetry.BUFFERED_BYTES.set(buffered)
