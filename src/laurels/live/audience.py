"""Who watches one board at one size, and what they are sent.

All members have the same version of the feed, but for those who are behind: those are owed what
leads from the version they have. So one frame fits everybody, and is written in slices, so that
requests are answered meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

from .. import telemetry
from ..domain.errors import LaurelsError
from ..ranking.scoreboards import ReadyBoard
from . import protocol
from .feed import Feed, Resumed
from .viewer import Dress, Viewer, write_each

SLICE = 64
LINGER = 30.0
"""Seconds for which the history of a board that nobody watches is kept, for those who come back."""


@dataclass(frozen=True, slots=True)
class Joining:
    """A viewer whose first answer waits for the board to be read."""

    viewer: Viewer
    since: str | None
    id: int | None
    announced: bool


class Audience:
    """One feed and its viewers. The hub reads the board and calls `show`."""

    __slots__ = (
        "_ends_at",
        "_joined",
        "_members",
        "_moved",
        "_reads",
        "_shuffled",
        "_waiting",
        "feed",
        "moved_at",
        "task",
    )

    def __init__(self, slug: str, size: int) -> None:
        self.feed = Feed(slug, size)
        self.moved_at = time.perf_counter()
        self.task: asyncio.Task[None] | None = None
        self._members: dict[Dress, dict[Viewer, None]] = {}
        self._waiting: list[tuple[int, Joining]] = []
        """With the number of the first read that answers."""
        self._reads = 0
        self._moved = asyncio.Event()
        self._joined = asyncio.Event()
        self._ends_at: datetime | None = None
        self._shuffled: set[Viewer] = set()

    def __len__(self) -> int:
        return sum(map(len, self._members.values())) + len(self._waiting)

    def mark(self) -> None:
        """What the board shows may have changed."""
        if not self._moved.is_set():
            self.moved_at = time.perf_counter()
            self._moved.set()

    def join(self, joining: Joining) -> None:
        """Answered at once when the board is kept up for others already, else when it was read.

        A viewer who brings a version that was never shown here may have seen it on a node that is ahead: it is
        answered by a read that begins from now on, so that its board never goes back.
        """
        known = self.feed.knows(joining.since)
        if known and any(self._members.values()):
            self._welcome(joining)
            return
        self._waiting.append((0 if known else self._reads + 1, joining))
        self._joined.set()
        self.mark()

    def leave(self, viewer: Viewer) -> None:
        """Nothing is written to `viewer` after this."""
        members = self._members.get(viewer.dress)
        if members is not None and members.pop(viewer, self) is None:
            self._shuffled.add(viewer)
        self._waiting = [(read, joining) for read, joining in self._waiting if joining.viewer is not viewer]

    def catch_up(self, viewer: Viewer, version: str) -> None:
        """Give a member who was behind what leads from `version` to the present."""
        self._shuffled.add(viewer)
        resumed, message = self.feed.since(version)
        if message:
            viewer.send(viewer.dress(_TYPES[resumed], self.feed.version, message))

    async def wanted(self, linger: float) -> bool:
        """Whether somebody watches, or comes within `linger` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(linger):
                while not len(self):
                    self._joined.clear()
                    await self._joined.wait()
        return len(self) > 0

    def reading(self) -> float:
        """What moves from here on is read again. When it moved, on the performance counter."""
        self._moved.clear()
        self._reads += 1
        return self.moved_at

    async def show(self, ready: ReadyBoard) -> None:
        """Send what was read to all who lack it."""
        self._ends_at = ready.ends_at
        base = self.feed.version
        if self.feed.show(ready) and any(self._members.values()):
            resumed, message = self.feed.since(base)
            await self._broadcast(_TYPES[resumed], message, base)
        self._answer_waiting()

    def dismiss(self, error: LaurelsError) -> None:
        """The board is not there (any more): tell everybody, and be empty."""
        for _, joining in self._waiting:
            joining.viewer.dropped(self.feed.channel, error, joining.id)
        for members in self._members.values():
            for viewer in list(members):
                viewer.dropped(self.feed.channel, error, None)
        self._waiting.clear()
        self._members.clear()

    async def due(self) -> None:
        """Wait until it moved, or its window is over: the next one begins without anybody moving."""
        left = None if self._ends_at is None else max(0.0, (self._ends_at - datetime.now(UTC)).total_seconds())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left):
                await self._moved.wait()
                return
        self.mark()

    def _answer_waiting(self) -> None:
        due = [joining for read, joining in self._waiting if read <= self._reads]
        self._waiting = [(read, joining) for read, joining in self._waiting if read > self._reads]
        for joining in due:
            self._welcome(joining)

    def _welcome(self, joining: Joining) -> None:
        viewer = joining.viewer
        if viewer.closed_with is not None:
            return
        resumed, message = self.feed.since(joining.since)
        if joining.announced:
            self._announce(joining, resumed)
        if message:
            viewer.send(viewer.dress(_TYPES[resumed], self.feed.version, message))
        telemetry.RESUMES.labels(resumed if joining.since else "first").inc()
        self._members.setdefault(viewer.dress, {})[viewer] = None

    def _announce(self, joining: Joining, resumed: Resumed) -> None:
        said = protocol.Subscribed(
            id=protocol.given(joining.id), channel=self.feed.channel, size=self.feed.size, resumed=resumed
        )
        joining.viewer.send(joining.viewer.dress("subscribed", "", protocol.encode(said)))

    async def _broadcast(self, kind: str, message: bytes, base: str) -> None:
        self._shuffled.clear()
        everybody = [(dress, list(members)) for dress, members in self._members.items()]
        channel, version = self.feed.channel, self.feed.version
        for dress, viewers in everybody:
            frame = dress(kind, version, message)
            async for some in in_slices(viewers):
                # Who left, or got the present in another way, since the first slice has no use for this.
                present = some if not self._shuffled else [v for v in some if v not in self._shuffled]
                write_each(present, frame, channel, base)


async def in_slices(viewers: list[Viewer]) -> AsyncIterator[list[Viewer]]:
    """A slice at a time, with a turn of the loop between them: requests are answered meanwhile."""
    for start in range(0, len(viewers), SLICE):
        yield viewers[start : start + SLICE]
        await asyncio.sleep(0)


_TYPES: dict[Resumed, str] = {"snapshot": "board", "delta": "delta", "current": ""}
