"""Who watches one board at one size, and what they are sent.

All members have the same version of the feed, but for those who are behind: those are owed what
leads from the version they have. So one frame fits everybody, and is written in slices, so that
requests are answered meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from .. import telemetry
from ..domain.errors import LaurelsError
from ..ranking.scoreboards import ReadyBoard
from . import protocol
from .client_connection import ClientConnection, FrameEncoder, broadcast, in_slices
from .feed import Feed, Resumed

HISTORY_SECONDS = 30.0
"""Seconds for which the history of a board that nobody watches is kept, for those who come back."""


@dataclass(frozen=True, slots=True)
class PendingSubscription:
    """A viewer whose first answer waits for the board to be read."""

    connection: ClientConnection
    since: str | None
    id: int | None
    confirm: bool


class Topic:
    """One feed and its viewers. The hub reads the board and calls `show`."""

    __slots__ = (
        "_ends_at",
        "_members",
        "_moved",
        "_pending",
        "_reads",
        "_served_otherwise",
        "_subscribed",
        "feed",
        "moved_at",
        "task",
    )

    def __init__(self, slug: str, size: int) -> None:
        self.feed = Feed(slug, size)
        self.moved_at = time.perf_counter()
        self.task: asyncio.Task[None] | None = None
        self._members: dict[FrameEncoder, dict[ClientConnection, None]] = {}
        self._pending: list[tuple[int, PendingSubscription]] = []
        """With the number of the first read that answers."""
        self._reads = 0
        self._moved = asyncio.Event()
        self._subscribed = asyncio.Event()
        self._ends_at: datetime | None = None
        self._served_otherwise: set[ClientConnection] = set()

    def __len__(self) -> int:
        return sum(map(len, self._members.values())) + len(self._pending)

    def mark_moved(self) -> None:
        """What the board shows may have changed."""
        if not self._moved.is_set():
            self.moved_at = time.perf_counter()
            self._moved.set()

    def subscribe(self, pending: PendingSubscription) -> None:
        """Answered at once when the board is kept up for others already, else when it was read.

        A viewer who brings a version that was never shown here may have seen it on a node that is ahead: it is
        answered by a read that begins from now on, so that its board never goes back.
        """
        known = self.feed.knows(pending.since)
        if known and any(self._members.values()):
            self._send_first(pending)
            return
        self._pending.append((0 if known else self._reads + 1, pending))
        self._subscribed.set()
        self.mark_moved()

    def unsubscribe(self, connection: ClientConnection) -> None:
        """Nothing is written to `viewer` after this."""
        members = self._members.get(connection.encode_frame)
        if members is not None and members.pop(connection, self) is None:
            self._served_otherwise.add(connection)
        self._pending = [(read, pending) for read, pending in self._pending if pending.connection is not connection]

    def send_missed(self, connection: ClientConnection, version: str) -> None:
        """Give a member who was behind what leads from `version` to the present."""
        self._served_otherwise.add(connection)
        resumed, message = self.feed.message_since(version)
        if message:
            connection.send(connection.encode_frame(_TYPES[resumed], self.feed.version, message))

    async def wait_for_subscribers(self, linger: float) -> bool:
        """Whether somebody watches, or comes within `linger` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(linger):
                while not len(self):
                    self._subscribed.clear()
                    await self._subscribed.wait()
        return len(self) > 0

    def begin_read(self) -> float:
        """What moves from here on is read again. When it moved, on the performance counter."""
        self._moved.clear()
        self._reads += 1
        return self.moved_at

    async def publish(self, ready: ReadyBoard) -> None:
        """Send what was read to all who lack it."""
        self._ends_at = ready.ends_at
        base = self.feed.version
        if self.feed.update(ready) and any(self._members.values()):
            resumed, message = self.feed.message_since(base)
            await self._broadcast(_TYPES[resumed], message, base)
        self._answer_waiting()

    def end(self, error: LaurelsError) -> None:
        """The board is not there (any more): tell everybody, and be empty."""
        for _, pending in self._pending:
            pending.connection.on_channel_gone(self.feed.channel, error, pending.id)
        for members in self._members.values():
            for connection in list(members):
                connection.on_channel_gone(self.feed.channel, error, None)
        self._pending.clear()
        self._members.clear()

    async def wait_until_due(self) -> None:
        """Wait until it moved, or its window is over: the next one begins without anybody moving."""
        left = None if self._ends_at is None else max(0.0, (self._ends_at - datetime.now(UTC)).total_seconds())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left):
                await self._moved.wait()
                return
        self.mark_moved()

    def _answer_waiting(self) -> None:
        due = [pending for read, pending in self._pending if read <= self._reads]
        self._pending = [(read, pending) for read, pending in self._pending if read > self._reads]
        for pending in due:
            self._send_first(pending)

    def _send_first(self, pending: PendingSubscription) -> None:
        connection = pending.connection
        if connection.closed_with is not None:
            return
        resumed, message = self.feed.message_since(pending.since)
        if pending.confirm:
            self._confirm(pending, resumed)
        if message:
            connection.send(connection.encode_frame(_TYPES[resumed], self.feed.version, message))
        telemetry.RESUMES.labels(resumed if pending.since else "first").inc()
        self._members.setdefault(connection.encode_frame, {})[connection] = None

    def _confirm(self, pending: PendingSubscription, resumed: Resumed) -> None:
        said = protocol.Subscribed(
            id=protocol.given(pending.id), channel=self.feed.channel, size=self.feed.size, resumed=resumed
        )
        pending.connection.send(pending.connection.encode_frame("subscribed", "", protocol.encode(said)))

    async def _broadcast(self, kind: str, message: bytes, base: str) -> None:
        self._served_otherwise.clear()
        everybody = [(encode_frame, list(members)) for encode_frame, members in self._members.items()]
        channel, version = self.feed.channel, self.feed.version
        for encode_frame, connections in everybody:
            frame = encode_frame(kind, version, message)
            async for some in in_slices(connections):
                # Who left, or got the present in another way, since the first slice has no use for this.
                present = some if not self._served_otherwise else [v for v in some if v not in self._served_otherwise]
                broadcast(present, frame, channel, base)


_TYPES: dict[Resumed, str] = {"snapshot": "board", "delta": "delta", "current": ""}
