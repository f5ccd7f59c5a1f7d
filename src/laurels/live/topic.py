"""The subscribers of one board at one size, and what they are sent.

All members have the same version of the feed, so one frame fits all. A slow member misses frames; its connection
records the version that it has. A frame is written in slices, so that requests are answered meanwhile.
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
"""Seconds for which the history of a topic without subscribers is kept, for clients that reconnect."""


@dataclass(frozen=True, slots=True)
class PendingSubscription:
    """A subscription whose first frame waits for a read of the board."""

    connection: ClientConnection
    since: str | None
    id: int | None
    confirm: bool


class Topic:
    """One feed and its subscribers. The hub reads the board and calls `publish`."""

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
        """(number of the first read that may answer it, subscription)."""
        self._reads = 0
        self._moved = asyncio.Event()
        self._subscribed = asyncio.Event()
        self._ends_at: datetime | None = None
        self._served_otherwise: set[ClientConnection] = set()

    def __len__(self) -> int:
        return sum(map(len, self._members.values())) + len(self._pending)

    def mark_moved(self) -> None:
        """Have the board read again: what it shows may have changed."""
        if not self._moved.is_set():
            self.moved_at = time.perf_counter()
            self._moved.set()

    def subscribe(self, pending: PendingSubscription) -> None:
        """Send the first frame at once when the topic is kept current for others, else after a read.

        A version that this node never published may come from a node that is ahead. Such a client is answered by a
        read that begins after this call, so its board never goes back in time.
        """
        known = self.feed.knows(pending.since)
        if known and any(self._members.values()):
            self._send_first(pending)
            return
        self._pending.append((0 if known else self._reads + 1, pending))
        self._subscribed.set()
        self.mark_moved()

    def unsubscribe(self, connection: ClientConnection) -> None:
        """Write nothing to the connection any more."""
        members = self._members.get(connection.encode_frame)
        if members is not None and members.pop(connection, self) is None:  # `self` marks absence: members map to None
            self._served_otherwise.add(connection)
        self._pending = [(read, pending) for read, pending in self._pending if pending.connection is not connection]

    def send_missed(self, connection: ClientConnection, version: str) -> None:
        """Send a member that was slow what leads from its `version` to the current one."""
        self._served_otherwise.add(connection)
        resumed, message = self.feed.message_since(version)
        if message:
            connection.send(connection.encode_frame(_TYPES[resumed], self.feed.version, message))

    async def wait_for_subscribers(self, linger: float) -> bool:
        """Return whether there is a subscriber, or one comes within `linger` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(linger):
                while not len(self):
                    self._subscribed.clear()
                    await self._subscribed.wait()
        return len(self) > 0

    def begin_read(self) -> float:
        """Begin a read: later changes need another one. Return when the board changed, on the performance counter."""
        self._moved.clear()
        self._reads += 1
        return self.moved_at

    async def publish(self, ready: ReadyBoard) -> None:
        """Send what was read to all who do not have it."""
        self._ends_at = ready.ends_at
        base = self.feed.version
        if self.feed.update(ready) and any(self._members.values()):
            resumed, message = self.feed.message_since(base)
            await self._broadcast(_TYPES[resumed], message, base)
        self._answer_pending()

    def end(self, error: LaurelsError) -> None:
        """End all subscriptions: the board does not exist, or no longer."""
        for _, pending in self._pending:
            pending.connection.on_channel_gone(self.feed.channel, error, pending.id)
        for members in self._members.values():
            for connection in list(members):
                connection.on_channel_gone(self.feed.channel, error, None)
        self._pending.clear()
        self._members.clear()

    async def wait_until_due(self) -> None:
        """Wait until the board changed or its window ended: the next window begins without an action."""
        left = None if self._ends_at is None else max(0.0, (self._ends_at - datetime.now(UTC)).total_seconds())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left):
                await self._moved.wait()
                return
        self.mark_moved()

    def _answer_pending(self) -> None:
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
        confirmation = protocol.Subscribed(
            id=protocol.given(pending.id), channel=self.feed.channel, size=self.feed.size, resumed=resumed
        )
        pending.connection.send(pending.connection.encode_frame("subscribed", "", protocol.encode(confirmation)))

    async def _broadcast(self, kind: str, message: bytes, base: str) -> None:
        self._served_otherwise.clear()
        members_by_encoder = [(encode, list(members)) for encode, members in self._members.items()]
        channel, version = self.feed.channel, self.feed.version
        for encode_frame, connections in members_by_encoder:
            frame = encode_frame(kind, version, message)
            async for some in in_slices(connections):
                # Since the first slice some left, or were sent the current version in another way.
                served = self._served_otherwise
                broadcast([one for one in some if one not in served] if served else some, frame, channel, base)


_TYPES: dict[Resumed, str] = {"snapshot": "board", "delta": "delta", "current": ""}
