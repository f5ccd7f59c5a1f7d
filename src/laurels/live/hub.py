"""Who watches what. One frame per board and tick, built once, written to every transport.

A board that is watched has a task of its own, the only one that reads it and the only one that
decides what its viewers see: whoever joins gets the frame that all others have, so nothing a
viewer sees ever goes back. A board that moved is sent at once (leading edge), then not again
before the interval is over: at most `frames_per_second`.

Writes never wait. The kernel's send buffer, kept small, is a socket's outbox; a transport that
holds a single byte back is behind, gets nothing until that is gone, then the newest frame, and is
closed when it stays behind. Sockets are written in slices, so that requests are answered meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from .. import telemetry
from ..domain.errors import Code, LaurelsError
from ..ranking.projection import Moved
from ..ranking.scoreboards import ReadyBoard
from . import protocol

log = structlog.get_logger(__name__)

SLICE = 64
CATCH_UP = 0.25
"""Seconds between two looks at those who are behind."""
READ_AGAIN = 1.0
"""Seconds until a board whose read failed is tried again."""


@dataclass(eq=False, slots=True)
class Viewer:
    """One socket. `behind_since`: when it was first skipped; it is owed the newest frame.

    `closed_with`: the code of the close frame it was sent, after which it is sent nothing.
    """

    transport: asyncio.WriteTransport
    board: str
    behind_since: float | None = None
    closed_with: int | None = None


@dataclass(slots=True)
class _Channel:
    """One board's viewers, the frame they have (empty until the first read), and since when it is old."""

    board: str
    viewers: set[Viewer] = field(default_factory=set)
    frame: bytes = b""
    shown: bytes = b""
    ends_at: datetime | None = None
    moved_at: float = field(default_factory=time.perf_counter)
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    def mark(self) -> None:
        """What the board shows may have changed."""
        if not self.moved.is_set():
            self.moved_at = time.perf_counter()
            self.moved.set()

    async def wait(self) -> None:
        """Until it moved, or its window is over: the next one begins without anybody moving."""
        left = None if self.ends_at is None else max(0.0, (self.ends_at - datetime.now(UTC)).total_seconds())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left):
                await self.moved.wait()
                return
        self.mark()


Read = Callable[[str], Awaitable[ReadyBoard]]


class Hub:
    """Run `run()` in a task. `read` answers a board's ready bytes."""

    def __init__(self, read: Read, *, frames_per_second: int, per_address: int, limit: int) -> None:
        self._read = read
        self._interval = 1 / frames_per_second
        self._per_address = per_address
        self._limit = limit
        self._taken = 0
        self._addresses: Counter[str] = Counter()
        self._channels: dict[str, _Channel] = {}
        self._behind: set[Viewer] = set()
        self._tasks = asyncio.TaskGroup()
        self._closing = asyncio.Event()

    def pace(self, frames_per_second: int) -> None:
        """From the next frame on."""
        self._interval = 1 / frames_per_second

    def moved(self, moved: Moved) -> None:
        """A listener of the projection: the board has a new top list."""
        if moved.top:
            self.refresh(moved.window.board.slug)

    def refresh(self, board: str) -> None:
        """Something that the board shows may have changed: read it again."""
        channel = self._channels.get(board)
        if channel is not None:
            channel.mark()

    @contextlib.contextmanager
    def seat(self, address: str) -> Iterator[None]:
        """Hold one of the sockets that this node and this address may have, from before the handshake on.

        Raises LaurelsError(TOO_MANY_SOCKETS).
        """
        if self._closing.is_set() or self._taken >= self._limit:
            raise _too_many("This node holds all the sockets it may. Try again.")
        if self._addresses[address] >= self._per_address:
            raise _too_many(f"One address may hold {self._per_address} sockets. Close one first.")
        self._taken += 1
        self._addresses[address] += 1
        try:
            yield
        finally:
            self._taken -= 1
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]

    def join(self, transport: asyncio.WriteTransport, board: str) -> Viewer:
        """Add a socket. It gets the board as the others have it, or as it stands if it is the first."""
        viewer = Viewer(transport, board)
        telemetry.SOCKETS.inc()
        channel = self._channels.get(board) or self._open(board)
        channel.viewers.add(viewer)
        if self._closing.is_set():
            self.dismiss(viewer, protocol.GOING_AWAY)
        elif channel.frame:
            self._write(viewer, channel.frame)
        return viewer

    def leave(self, viewer: Viewer, code: int | None = None) -> None:
        """Remove a socket that has closed. Twice is no error."""
        channel = self._channels.get(viewer.board)
        if channel is None or viewer not in channel.viewers:
            return
        channel.viewers.discard(viewer)
        self._behind.discard(viewer)
        if not channel.viewers:
            channel.mark()  # wakes its task, which ends
        telemetry.SOCKETS.dec()
        telemetry.SOCKETS_CLOSED.labels(_close_label(viewer.closed_with or code)).inc()

    def dismiss(self, viewer: Viewer, code: int) -> None:
        """Say why, send nothing after it, and cut soon: a graceful close waits for what does not drain."""
        if viewer.closed_with is not None or viewer.transport.is_closing():
            return
        viewer.closed_with = code
        self._behind.discard(viewer)
        viewer.transport.write(protocol.close_frame(code))
        asyncio.get_running_loop().call_later(protocol.CLOSE_GRACE, viewer.transport.abort)

    async def run(self) -> None:
        """Send what is due until `close()`, then tell everybody to come back later."""
        async with self._tasks:
            chores = [
                self._tasks.create_task(self._heartbeats(), name="live-heartbeats"),
                self._tasks.create_task(self._catch_up(), name="live-catch-up"),
            ]
            await self._closing.wait()
            for task in [*chores, *(channel.task for channel in self._channels.values())]:
                if task is not None:
                    task.cancel()
            async for some in _in_slices(self._everybody()):
                for viewer in some:
                    self.dismiss(viewer, protocol.GOING_AWAY)

    def close(self) -> None:
        """Refuse new sockets and send the others away (1001)."""
        self._closing.set()

    def _open(self, board: str) -> _Channel:
        channel = self._channels[board] = _Channel(board)
        if not self._closing.is_set():
            channel.task = self._tasks.create_task(self._follow(channel), name=f"live-{board}")
        return channel

    async def _follow(self, channel: _Channel) -> None:
        """Send a board whenever it moved, as long as somebody watches."""
        while channel.viewers:
            try:
                await self._send(channel)
            except LaurelsError as error:
                self._not_read(channel, error)
                await asyncio.sleep(READ_AGAIN)
                continue
            await asyncio.sleep(self._interval)
            await channel.wait()
        del self._channels[channel.board]

    async def _send(self, channel: _Channel) -> None:
        moved_at = channel.moved_at
        # Before the read: what moves during it is read again.
        channel.moved.clear()
        ready = await self._read(channel.board)
        channel.ends_at = ready.ends_at
        channel.frame = protocol.board_frame(ready.body)
        if ready.shown == channel.shown:
            return
        channel.shown = ready.shown
        await self._broadcast(list(channel.viewers), channel.frame)
        telemetry.TICK_SECONDS.observe(time.perf_counter() - moved_at)

    def _not_read(self, channel: _Channel, error: LaurelsError) -> None:
        """The viewers keep what they have; a board that is gone sends them away."""
        if error.code is not Code.BOARD_UNKNOWN:
            log.warning("live board not read", board=channel.board, code=error.code)
            return
        for viewer in channel.viewers:
            self.dismiss(viewer, protocol.NO_SUCH_BOARD)

    async def _heartbeats(self) -> None:
        """Also reads every board again: whatever moved it without telling us shows by then."""
        while True:
            await asyncio.sleep(protocol.HEARTBEAT)
            for channel in self._channels.values():
                channel.mark()
            await self._broadcast(self._everybody(), protocol.HEARTBEAT_FRAME)

    async def _broadcast(self, viewers: list[Viewer], frame: bytes) -> None:
        async for some in _in_slices(viewers):
            telemetry.FRAMES.inc(sum([self._write(viewer, frame) for viewer in some]))

    def _write(self, viewer: Viewer, frame: bytes) -> bool:
        """Whether the frame was written: not to who is leaving, nor to who has not read the last one."""
        transport = viewer.transport
        if viewer.closed_with is not None or transport.is_closing():
            return False
        if viewer.behind_since is not None or transport.get_write_buffer_size():
            self._skip(viewer)
            return False
        transport.write(frame)
        return True

    def _skip(self, viewer: Viewer) -> None:
        telemetry.FRAMES_CONFLATED.inc()
        if viewer.behind_since is None:
            viewer.behind_since = asyncio.get_running_loop().time()
            self._behind.add(viewer)

    async def _catch_up(self) -> None:
        """Give those who have read on the newest frame; close those who have not for too long."""
        while True:
            await asyncio.sleep(CATCH_UP)
            now = asyncio.get_running_loop().time()
            for viewer in list(self._behind):
                self._look_after(viewer, now)

    def _look_after(self, viewer: Viewer, now: float) -> None:
        since = viewer.behind_since
        if since is None or viewer.transport.is_closing():
            self._behind.discard(viewer)
        elif not viewer.transport.get_write_buffer_size():
            self._behind.discard(viewer)
            viewer.behind_since = None
            self._write(viewer, self._channels[viewer.board].frame)
        elif now - since > protocol.SLOW_SECONDS:
            self.dismiss(viewer, protocol.SLOW)

    def _everybody(self) -> list[Viewer]:
        return [viewer for channel in self._channels.values() for viewer in channel.viewers]


async def _in_slices(viewers: list[Viewer]) -> AsyncIterator[list[Viewer]]:
    for start in range(0, len(viewers), SLICE):
        yield viewers[start : start + SLICE]
        await asyncio.sleep(0)


def _too_many(detail: str) -> LaurelsError:
    return LaurelsError(Code.TOO_MANY_SOCKETS, detail, retry_after=5)


def _close_label(code: int | None) -> str:
    """Clients choose their codes among thousands: as labels they would be a metric each."""
    known = (1000, 1001, 1006, *protocol.REASONS)
    return str(code or 1006) if (code or 1006) in known else "other"
