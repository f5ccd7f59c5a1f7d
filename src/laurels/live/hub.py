"""Who watches what. One frame per board and tick, built once, written to every transport.

A board that moved is sent at once if its last frame is old enough (leading edge), else when the
interval is over: at most `frames_per_second`. Writes never wait: a transport buffers what the
kernel does not take, and how much it has buffered decides who is skipped and who is closed.
Sockets are written in slices with a yield between, so that requests are answered meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from .. import telemetry
from ..domain.errors import Code, LaurelsError
from ..ranking.projection import Moved
from ..ranking.scoreboards import ReadyBoard
from . import protocol

log = structlog.get_logger(__name__)

SLICE = 64
CATCH_UP = 0.25
"""Seconds between two looks at those who were skipped."""
READ_AGAIN = 1.0
"""Seconds until a board whose read failed is tried again."""


class Transport(Protocol):
    """The part of asyncio.WriteTransport that the hub uses."""

    def write(self, data: bytes) -> None: ...
    def get_write_buffer_size(self) -> int: ...
    def is_closing(self) -> bool: ...
    def abort(self) -> None: ...


@dataclass(eq=False, slots=True)
class Viewer:
    """One socket. `behind_since`: when it was first skipped; it is owed the newest frame."""

    transport: Transport
    board: str
    address: str
    behind_since: float | None = None
    closed_with: int | None = None


@dataclass(slots=True)
class _Channel:
    """One board's viewers, the last frame they were sent and the part of it that people see."""

    viewers: set[Viewer] = field(default_factory=set)
    shown: bytes = b""
    frame: bytes = b""
    sent_at: float = 0.0
    dirty_at: float | None = None


Read = Callable[[str], Awaitable[ReadyBoard]]


class Hub:
    """Run `run()` in a task. `read` answers a board's ready bytes."""

    def __init__(
        self, read: Read, *, frames_per_second: int, per_address: int, limit: int
    ) -> None:
        self._read = read
        self._interval = 1 / frames_per_second
        self._per_address = per_address
        self._limit = limit
        self._channels: dict[str, _Channel] = {}
        self._addresses: Counter[str] = Counter()
        self._behind: set[Viewer] = set()
        self._work = asyncio.Event()
        self._closing = False

    @property
    def closing(self) -> bool:
        return self._closing

    def moved(self, moved: Moved) -> None:
        """A listener of the projection: the board has a new top list."""
        if moved.top:
            self.refresh(moved.window.board.slug)

    def refresh(self, board: str) -> None:
        """Something that the board shows may have changed: read it again."""
        channel = self._channels.get(board)
        if channel is not None and channel.viewers and channel.dirty_at is None:
            channel.dirty_at = time.perf_counter()
            self._work.set()

    def admit(self, address: str) -> None:
        """Raises LaurelsError(TOO_MANY_SOCKETS) before a handshake that would pass a limit."""
        total = self._addresses.total()
        if self._closing or total >= self._limit:
            raise LaurelsError(
                Code.TOO_MANY_SOCKETS, "This node holds all the sockets it may. Try again.", retry_after=5
            )
        if self._addresses[address] >= self._per_address:
            raise LaurelsError(
                Code.TOO_MANY_SOCKETS,
                f"One address may hold {self._per_address} sockets. Close one first.",
                retry_after=5,
            )

    async def join(self, transport: Transport, board: str, address: str) -> Viewer:
        """Add a socket and send it the board as it stands."""
        viewer = Viewer(transport, board, address)
        channel = self._channels.setdefault(board, _Channel())
        self._addresses[address] += 1
        telemetry.SOCKETS.inc()
        # In the set before the read: what moves meanwhile is sent behind this snapshot, never lost.
        channel.viewers.add(viewer)
        try:
            ready = await self._read(board)
        except BaseException:
            self.leave(viewer)
            raise
        # This viewer may have seen another state than the others: the next change goes to all of them.
        channel.shown = b""
        channel.frame = protocol.text_frame(protocol.board_message(ready.body))
        self._write(viewer, channel.frame)
        return viewer

    def leave(self, viewer: Viewer, code: int = 1006) -> None:
        """Remove a socket that has closed. Twice is no error."""
        channel = self._channels.get(viewer.board)
        if channel is None or viewer not in channel.viewers:
            return
        channel.viewers.discard(viewer)
        self._behind.discard(viewer)
        self._addresses[viewer.address] -= 1
        if not self._addresses[viewer.address]:
            del self._addresses[viewer.address]
        telemetry.SOCKETS.dec()
        telemetry.SOCKETS_CLOSED.labels(str(viewer.closed_with or code)).inc()

    async def run(self) -> None:
        """Send what is due until `close()`."""
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(self._heartbeats(), name="live-heartbeats"),
                tasks.create_task(self._catch_up(), name="live-catch-up"),
            ]
            await self._frames()
            for task in background:
                task.cancel()

    def close(self) -> None:
        """Refuse new sockets and tell everybody to come back later (1001)."""
        self._closing = True
        self._work.set()
        goodbye = protocol.close_frame(protocol.CLOSE_GOING_AWAY)
        for viewer in self._everybody():
            viewer.closed_with = protocol.CLOSE_GOING_AWAY
            if not viewer.transport.is_closing():
                viewer.transport.write(goodbye)

    async def _frames(self) -> None:
        while not self._closing:
            wait = await self._send_due()
            try:
                async with asyncio.timeout(wait):
                    await self._work.wait()
            except TimeoutError:
                continue
            self._work.clear()

    async def _send_due(self) -> float | None:
        """Send every board that is due; seconds until the next one is, or None."""
        waits = []
        for slug, channel in list(self._channels.items()):
            if channel.dirty_at is None:
                continue
            wait = channel.sent_at + self._interval - time.perf_counter()
            if wait > 0:
                waits.append(wait)
            else:
                await self._send(slug, channel)
        return min(waits, default=None)

    async def _send(self, slug: str, channel: _Channel) -> None:
        due, channel.dirty_at = channel.dirty_at, None
        channel.sent_at = time.perf_counter()
        try:
            ready = await self._read(slug)
        except LaurelsError as error:
            log.warning("live board not read", board=slug, code=error.code)
            channel.dirty_at, channel.sent_at = due, time.perf_counter() + READ_AGAIN
            return
        if ready.shown == channel.shown:
            return
        channel.shown = ready.shown
        channel.frame = protocol.text_frame(protocol.board_message(ready.body))
        await self._broadcast(channel.viewers, channel.frame)
        telemetry.TICK_SECONDS.observe(time.perf_counter() - (due or channel.sent_at))

    async def _heartbeats(self) -> None:
        frame = protocol.text_frame(protocol.HEARTBEAT_FRAME_MESSAGE)
        while True:
            await asyncio.sleep(protocol.HEARTBEAT)
            await self._broadcast(self._everybody(), frame)

    async def _broadcast(self, viewers: Iterable[Viewer], frame: bytes) -> None:
        for position, viewer in enumerate(list(viewers), 1):
            self._write(viewer, frame)
            if position % SLICE == 0:
                await asyncio.sleep(0)

    def _write(self, viewer: Viewer, frame: bytes) -> None:
        transport = viewer.transport
        if transport.is_closing():
            return
        if transport.get_write_buffer_size() > protocol.CONFLATE_BYTES:
            self._skip(viewer)
            return
        transport.write(frame)
        telemetry.FRAMES.inc()

    def _skip(self, viewer: Viewer) -> None:
        telemetry.FRAMES_CONFLATED.inc()
        if viewer.behind_since is None:
            viewer.behind_since = time.perf_counter()
            self._behind.add(viewer)

    async def _catch_up(self) -> None:
        """Give those who have read on the newest frame; close those who have not for too long."""
        while True:
            await asyncio.sleep(CATCH_UP)
            for viewer in list(self._behind):
                self._look_after(viewer, time.perf_counter())

    def _look_after(self, viewer: Viewer, now: float) -> None:
        if viewer.transport.is_closing():
            self._behind.discard(viewer)
        elif viewer.transport.get_write_buffer_size() <= protocol.CONFLATE_BYTES:
            self._behind.discard(viewer)
            viewer.behind_since = None
            self._write(viewer, self._channels[viewer.board].frame)
        elif now - (viewer.behind_since or now) > protocol.SLOW_SECONDS:
            self._evict(viewer)

    def _evict(self, viewer: Viewer) -> None:
        """Say why, then cut: a graceful close would wait for the very buffer that does not drain."""
        self._behind.discard(viewer)
        viewer.closed_with = protocol.CLOSE_SLOW
        viewer.transport.write(protocol.close_frame(protocol.CLOSE_SLOW))
        asyncio.get_running_loop().call_later(protocol.SLOW_GRACE, viewer.transport.abort)

    def _everybody(self) -> list[Viewer]:
        return [viewer for channel in self._channels.values() for viewer in channel.viewers]
