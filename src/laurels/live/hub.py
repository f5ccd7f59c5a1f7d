"""The room's switchboard: who follows what, what has moved, and the tasks that tell them.

A board that is watched at some size has a task of its own, the only one that reads it and the only
one that decides what its viewers see, so nothing a viewer sees ever goes back. A board that moved is
sent at once (leading edge), then not again before the interval is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from .. import telemetry
from ..domain.errors import Code, LaurelsError
from ..ledger.batch import CommittedBatch
from ..ranking.projection import Moved
from ..ranking.scoreboards import PlacesOnBoard, ReadyBoard
from . import protocol
from . import viewer as outgoing
from .activity import Activity, Names
from .audience import LINGER, Audience, Joining
from .mine import Mine
from .protocol import Close
from .pulse import Pulse
from .seats import Seats
from .session import Follow
from .viewer import Key, Viewer

log = structlog.get_logger(__name__)

READ_AGAIN = 1.0
"""Seconds until a board whose read failed is tried again."""
ALL_AGAIN = 25.0
"""Seconds between two reads of every watched board, whatever was told: what nobody told of shows by then."""
SANCTION_SECONDS = 1.0
BREATH = 0.5
"""Of the time that a frame took to read and to send, so much is left free before the next: requests must not starve."""
MAX_IDLE = 256
"""Boards and sizes beyond which those that nobody watches are forgotten at once."""
DRAIN_PACE = 0.01
"""Seconds between two sockets that are sent away, at most: few need not wait for the whole spread."""
RETRY_MS = (500, 5_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where what is shown comes from. `top` (slug, size) and `places` (slug, user ids) raise LaurelsError.

    `top_as` (user id, slug, size): the board as a shadowed user sees it.
    """

    top: Callable[[str, int], Awaitable[ReadyBoard]]
    top_as: Callable[[int, str, int], Awaitable[ReadyBoard]]
    places: Callable[[str, Sequence[int]], Awaitable[PlacesOnBoard]]
    names: Names
    boards: Callable[[], Iterable[str]]
    type_ids: Callable[[], Mapping[str, int]]
    blocked: Callable[[], set[int]]
    shadowed: Callable[[], set[int]]


class Hub:
    """Run `run()` in a task. `drain_seconds`: over how long sockets are sent away at the end."""

    def __init__(self, sources: Sources, seats: Seats, *, frames_per_second: int, drain_seconds: float) -> None:
        self.seats = seats
        self.frames_per_second = frames_per_second
        self._sources = sources
        self._interval = 1 / frames_per_second
        self._drain_seconds = drain_seconds
        self._audiences: dict[Key, Audience] = {}
        self._mine = Mine(sources.places, sources.boards)
        self._activity = Activity(sources.names, sources.type_ids)
        self._pulse = Pulse()
        self._viewers: dict[Viewer, None] = {}
        self._tasks = asyncio.TaskGroup()
        self._closing = asyncio.Event()
        self._drained = asyncio.Event()
        self._somebody_left = asyncio.Event()

    # -- what has moved

    def pace(self, frames_per_second: int) -> None:
        """From the next frame on."""
        self.frames_per_second = frames_per_second
        self._interval = 1 / frames_per_second

    def moved(self, moved: Moved) -> None:
        """A listener of the projection: the board has a new top list, or somebody below it moved."""
        slug = moved.window.board.slug
        self._mine.moved(slug)
        if moved.top:
            self.refresh(slug)

    def refresh(self, board: str) -> None:
        """Something that the board shows may have changed: read it again."""
        for (slug, _, _), audience in self._audiences.items():
            if slug == board:
                audience.mark()

    def completed(self, batch: CommittedBatch) -> None:
        """What a COMMIT of this node brought."""
        self._activity.completed(batch)
        if self._sources.shadowed():  # what they do moves no index, but what they see themselves
            acted = {action.user_id for action in batch.new_actions}
            for (_, _, as_user), audience in self._audiences.items():
                if as_user in acted:
                    audience.mark()

    # -- who is here

    def enter(self, viewer: Viewer) -> None:
        """Take a seat for a connection; `left` gives it back. Raises LaurelsError(TOO_MANY_SOCKETS)."""
        self.seats.take(viewer.address)
        self._viewers[viewer] = None
        try:
            telemetry.SOCKETS.set(len(self._viewers))
            viewer.slot = self._pulse.add(viewer)
        except BaseException:
            self.left(viewer)
            raise

    def left(self, viewer: Viewer) -> None:
        """The connection is gone. Twice is no error."""
        if viewer not in self._viewers:
            return
        del self._viewers[viewer]
        self._somebody_left.set()
        self.forget(viewer)
        self._pulse.remove(viewer, viewer.slot)
        self.seats.release(viewer.address)
        if viewer.user_id is not None:
            self.seats.release_user(viewer.user_id)
        telemetry.SOCKETS.set(len(self._viewers))
        telemetry.SOCKETS_CLOSED.labels(_close_label(viewer.closed_with or outgoing.GONE)).inc()

    def keep_oldest(self, user_id: int, count: int) -> None:
        """Close the newer sockets of a user, who holds too many over all nodes."""
        theirs = [one for one in self._viewers if one.user_id == user_id and one.closed_with is None]
        for viewer in theirs[count:]:
            viewer.dismiss(Close.TOO_MANY_SOCKETS)

    def forget(self, viewer: Viewer) -> None:
        """Send it nothing more, whatever it follows."""
        for channel in list(viewer.following):
            self.leave(viewer, channel)
        self._pulse.caught_up(viewer)

    def start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Own a task of a viewer's; it may outlive the viewer, not the hub."""
        self._tasks.create_task(work, name=name)

    # -- what they follow

    def follow(self, viewer: Viewer, wish: Follow) -> None:
        """Do what a session wishes. A board that is not there: `viewer.dropped`."""
        viewer.following[wish.channel] = None
        kind, _, slug = wish.channel.partition(":")
        if kind == protocol.ME:
            self._mine.join(viewer, wish.announced, wish.id)
        elif slug not in self._sources.boards():
            viewer.dropped(wish.channel, _unknown(slug, self._sources.boards()), wish.id)
        elif wish.channel.startswith(protocol.ACTIVITY):
            self._activity.join(viewer, slug, wish.id)
        else:
            key = (slug, protocol.sent_size(wish.size), self._view_of(viewer))
            viewer.following[wish.channel] = key
            audience = self._audiences.get(key)
            if audience is None:  # an empty one counts: it has the history
                audience = self._open(key)
            audience.join(Joining(viewer, wish.since, wish.id, wish.announced))

    def leave(self, viewer: Viewer, channel: str) -> None:
        """Nothing of this channel is written to `viewer` after this. Not followed is no error."""
        if channel not in viewer.following:
            return
        key = viewer.following.pop(channel)
        if viewer.owed:
            viewer.owed.pop(channel, None)
        if channel == protocol.ME:
            self._mine.leave(viewer)
        elif channel.startswith(protocol.ACTIVITY):
            self._activity.leave(viewer, channel.removeprefix(protocol.ACTIVITY))
        elif key is not None and key in self._audiences:
            self._audiences[key].leave(viewer)

    def fell_behind(self, viewer: Viewer) -> None:
        self._pulse.fell_behind(viewer)

    def caught_up(self, viewer: Viewer) -> None:
        """It has read on: give it what it is owed."""
        self._pulse.caught_up(viewer)
        owed, viewer.owed = viewer.owed, None
        for channel, version in (owed or {}).items():
            if channel == protocol.ME:
                self._mine.join(viewer, announced=False, id_=None)
            elif (key := viewer.following.get(channel)) is not None:
                self._audiences[key].catch_up(viewer, version)

    # -- life

    async def run(self) -> None:
        """Tell what is due until `close()`, then send everybody away."""
        async with self._tasks:
            pulse, mine = self._pulse, self._mine
            work = (pulse.beat, pulse.watch_slow, mine.welcome, mine.update, self._activity.tell)
            chores = [self._tasks.create_task(chore(), name=f"live-{chore.__name__}") for chore in work]
            chores.append(self._tasks.create_task(self._read_all_again(), name="live-read-all-again"))
            chores.append(self._tasks.create_task(self._heed_sanctions(), name="live-sanctions"))
            await self._closing.wait()
            await self._send_away()
            for task in [*chores, *(audience.task for audience in self._audiences.values())]:
                if task is not None:
                    task.cancel()
            self._drained.set()

    def close(self) -> None:
        """Refuse new sockets and send the others away, over a while."""
        self.seats.closed = True
        self._closing.set()

    async def drained(self) -> None:
        """Wait until everybody was sent away."""
        await self._drained.wait()

    async def _send_away(self) -> None:
        viewers = list(self._viewers)
        pace = min(DRAIN_PACE, self._drain_seconds / max(1, len(viewers)))
        began = asyncio.get_running_loop().time()
        for number, one in enumerate(viewers):
            ahead = began + number * pace - asyncio.get_running_loop().time()
            if ahead > 0:
                await asyncio.sleep(ahead)
            if one.closed_with is None:
                one.drain(random.randint(*RETRY_MS))  # noqa: S311  jitter, not a secret
        await self._until_empty()

    async def _until_empty(self) -> None:
        """Let them read why; who does not answer is cut, so that it holds up nothing."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(outgoing.CLOSE_GRACE):
                while self._viewers:
                    self._somebody_left.clear()
                    await self._somebody_left.wait()
        for one in list(self._viewers):
            one.cut(Close.DRAINING)

    def _view_of(self, viewer: Viewer) -> int | None:
        """Whose eyes a viewer sees boards with: a shadowed user's own, or everybody's."""
        return viewer.user_id if viewer.user_id in self._sources.shadowed() else None

    def _open(self, key: Key) -> Audience:
        slug, size, _ = key
        audience = self._audiences[key] = Audience(slug, size)
        audience.task = self._tasks.create_task(self._keep_up(key, audience), name=f"live-{slug}-{size}")
        return audience

    async def _keep_up(self, key: Key, audience: Audience) -> None:
        """Read and send a board whenever it moved, as long as somebody watches."""
        loop = asyncio.get_running_loop()
        slug, size, as_user = key
        while await audience.wanted(LINGER if len(self._audiences) <= MAX_IDLE else 0):
            moved_at, began = audience.reading(), loop.time()
            try:
                ready = await self._read(slug, size, as_user)
            except LaurelsError as error:
                if error.code is Code.BOARD_UNKNOWN:
                    break
                log.warning("live board not read", board=slug, code=error.code)
                await asyncio.sleep(READ_AGAIN)
                audience.mark()
                continue
            await audience.show(ready)
            telemetry.TICK_SECONDS.observe(time.perf_counter() - moved_at)
            await asyncio.sleep(pause_after(loop.time() - began, self._interval))
            await audience.due()
        del self._audiences[key]
        audience.dismiss(_unknown(slug, self._sources.boards()))

    async def _read(self, slug: str, size: int, as_user: int | None) -> ReadyBoard:
        if as_user is None:
            return await self._sources.top(slug, size)
        return await self._sources.top_as(as_user, slug, size)

    async def _read_all_again(self) -> None:
        while True:
            await asyncio.sleep(ALL_AGAIN)
            for audience in self._audiences.values():
                audience.mark()
            for slug in self._sources.boards():
                self._mine.moved(slug)

    async def _heed_sanctions(self) -> None:
        """The banned are sent away; who is shadowed, or no longer, sees boards with other eyes."""
        while True:
            await asyncio.sleep(SANCTION_SECONDS)
            blocked = self._sources.blocked()
            for one in [one for one in self._viewers if one.user_id is not None]:
                if one.user_id in blocked:
                    one.dismiss(Close.NOT_ALLOWED)
                else:
                    self._look_with_right_eyes(one)

    def end_sessions(self, user_ids: Iterable[int]) -> None:
        """Close the sockets of these users that may no longer speak for them: banned, or their token was ended."""
        ids, blocked = {user_id for user_id in user_ids if self.seats.holds(user_id)}, self._sources.blocked()
        if not ids:
            return
        for one in [one for one in self._viewers if one.user_id in ids]:
            if one.user_id in blocked:
                one.dismiss(Close.NOT_ALLOWED)
            elif one.token_ended():
                one.dismiss(Close.TOKEN_ENDED)

    def _look_with_right_eyes(self, viewer: Viewer) -> None:
        view = self._view_of(viewer)
        for channel, key in list(viewer.following.items()):
            if key is not None and key[2] != view:
                self.leave(viewer, channel)
                self.follow(viewer, Follow(channel, key[1], None, None, announced=False))

    def __len__(self) -> int:
        return len(self._viewers)


def pause_after(took: float, interval: float) -> float:
    """Seconds until the next frame: they begin `interval` apart, or as far as reading and sending to so many allow."""
    return max(interval - took, took * BREATH)


def _unknown(slug: str, boards: Iterable[str]) -> LaurelsError:
    return LaurelsError(Code.BOARD_UNKNOWN, f"There is no board {slug!r}. Boards: {', '.join(boards)}.")


def _close_label(code: int) -> str:
    """Clients choose their codes among thousands: as labels they would be a metric each."""
    known = (1000, 1001, 1005, outgoing.GONE, *protocol.REASONS)
    return str(int(code)) if code in known else "other"
