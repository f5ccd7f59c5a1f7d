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
from ..concurrency.periodic import run_periodically
from ..domain.errors import Code, LaurelsError
from ..ledger.write.batch import CommittedBatch
from ..ranking.projection import WindowChanged
from ..ranking.scoreboards import PlacesOnBoard, ReadyBoard
from ..ranking.view import PUBLIC, View
from . import client_connection, protocol
from .activity_feed import ActivityFeed, LoadPeople
from .client_connection import ClientConnection, TopicKey
from .connection_limits import ConnectionLimits
from .keepalive import Keepalive
from .personal_ranks import PersonalRanks
from .protocol import Close
from .session import StartSubscription
from .topic import HISTORY_SECONDS, PendingSubscription, Topic

log = structlog.get_logger(__name__)

RETRY_READ_SECONDS = 1.0
"""Seconds until a board whose read failed is tried again."""
REFRESH_ALL_SECONDS = 25.0
"""Seconds between two reads of every watched board, whatever was told: what nobody told of shows by then."""
SANCTION_SECONDS = 1.0
IDLE_SHARE = 0.5
"""Of the time that a frame took to read and to send, so much is left free before the next: requests must not starve."""
MAX_IDLE_TOPICS = 256
"""Boards and sizes beyond which those that nobody watches are forgotten at once."""
DRAIN_PACE = 0.01
"""Seconds between two sockets that are sent away, at most: few need not wait for the whole spread."""
RETRY_MS = (500, 5_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardSources:
    """Where what is shown comes from. `top` (slug, size, view) and `places` (slug, user ids) raise LaurelsError."""

    top: Callable[[str, int, View], Awaitable[ReadyBoard]]
    places: Callable[[str, Sequence[int]], Awaitable[PlacesOnBoard]]
    names: LoadPeople
    boards: Callable[[], Iterable[str]]
    type_ids: Callable[[], Mapping[str, int]]
    blocked: Callable[[], set[int]]
    shadowed: Callable[[], set[int]]


class Hub:
    """Run `run()` in a task. `drain_seconds`: over how long sockets are sent away at the end."""

    def __init__(
        self,
        sources: BoardSources,
        connection_limits: ConnectionLimits,
        *,
        frames_per_second: int,
        drain_seconds: float,
    ) -> None:
        self.connection_limits = connection_limits
        self.frames_per_second = frames_per_second
        self._sources = sources
        self._interval = 1 / frames_per_second
        self._drain_seconds = drain_seconds
        self._topics: dict[TopicKey, Topic] = {}
        self._personal_ranks = PersonalRanks(sources.places, sources.boards)
        self._activity = ActivityFeed(sources.names, sources.type_ids)
        self._keepalive = Keepalive()
        self._connections: dict[ClientConnection, None] = {}
        self._tasks = asyncio.TaskGroup()
        self._closing = asyncio.Event()
        self._drained = asyncio.Event()
        self._connection_removed = asyncio.Event()

    # -- what has moved

    def set_frame_rate(self, frames_per_second: int) -> None:
        """From the next frame on."""
        self.frames_per_second = frames_per_second
        self._interval = 1 / frames_per_second

    def on_window_changed(self, moved: WindowChanged) -> None:
        """A listener of the projection: the board has a new top list, or somebody below it moved."""
        slug = moved.window.board.slug
        self._personal_ranks.mark_moved(slug)
        if moved.top:
            self.refresh(slug)

    def refresh(self, board: str) -> None:
        """Something that the board shows may have changed: read it again."""
        for (slug, _, _), topic in self._topics.items():
            if slug == board:
                topic.mark_moved()

    def on_batch_committed(self, batch: CommittedBatch) -> None:
        """What a COMMIT of this node brought."""
        self._activity.on_batch_committed(batch)
        if self._sources.shadowed():  # what they do moves no index, but what they see themselves
            acted = {action.user_id for action in batch.new_actions}
            for (_, _, view), topic in self._topics.items():
                if view.shadowed_user in acted:
                    topic.mark_moved()

    # -- who is here

    def add(self, connection: ClientConnection) -> None:
        """Take a seat for a connection; `left` gives it back. Raises LaurelsError(TOO_MANY_SOCKETS)."""
        self.connection_limits.acquire(connection.address)
        self._connections[connection] = None
        try:
            telemetry.SOCKETS.set(len(self._connections))
            connection.keepalive_slot = self._keepalive.add(connection)
        except BaseException:
            self.remove(connection)
            raise

    def remove(self, connection: ClientConnection) -> None:
        """The connection is gone. Twice is no error."""
        if connection not in self._connections:
            return
        del self._connections[connection]
        self._connection_removed.set()
        self.unsubscribe_all(connection)
        self._keepalive.remove(connection, connection.keepalive_slot)
        self.connection_limits.release(connection.address)
        if connection.user_id is not None:
            self.connection_limits.release_user(connection.user_id)
        telemetry.SOCKETS.set(len(self._connections))
        telemetry.SOCKETS_CLOSED.labels(
            _close_label(connection.closed_with or client_connection.ABNORMAL_CLOSURE)
        ).inc()

    def keep_oldest(self, user_id: int, count: int) -> None:
        """Close the newer sockets of a user, who holds too many over all nodes."""
        theirs = [one for one in self._connections if one.user_id == user_id and one.closed_with is None]
        for connection in theirs[count:]:
            connection.close(Close.TOO_MANY_SOCKETS)

    def unsubscribe_all(self, connection: ClientConnection) -> None:
        """Send it nothing more, whatever it follows."""
        for channel in list(connection.subscriptions):
            self.unsubscribe(connection, channel)
        self._keepalive.on_drained(connection)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Own a task of a viewer's; it may outlive the viewer, not the hub."""
        self._tasks.create_task(work, name=name)

    # -- what they follow

    def subscribe(self, connection: ClientConnection, subscription: StartSubscription) -> None:
        """Do what a session wishes. A board that is not there: `viewer.dropped`."""
        connection.subscriptions[subscription.channel] = None
        kind, _, slug = subscription.channel.partition(":")
        if kind == protocol.ME:
            self._personal_ranks.subscribe(connection, subscription.confirm, subscription.id)
        elif slug not in self._sources.boards():
            connection.on_channel_gone(
                subscription.channel, _board_unknown(slug, self._sources.boards()), subscription.id
            )
        elif subscription.channel.startswith(protocol.ACTIVITY):
            self._activity.subscribe(connection, slug, subscription.id)
        else:
            key = (slug, protocol.sent_size(subscription.size), self._view_of(connection))
            connection.subscriptions[subscription.channel] = key
            topic = self._topics.get(key)
            if topic is None:  # an empty one counts: it has the history
                topic = self._open(key)
            topic.subscribe(PendingSubscription(connection, subscription.since, subscription.id, subscription.confirm))

    def unsubscribe(self, connection: ClientConnection, channel: str) -> None:
        """Nothing of this channel is written to `viewer` after this. Not followed is no error."""
        if channel not in connection.subscriptions:
            return
        key = connection.subscriptions.pop(channel)
        if connection.missed_versions:
            connection.missed_versions.pop(channel, None)
        if channel == protocol.ME:
            self._personal_ranks.unsubscribe(connection)
        elif channel.startswith(protocol.ACTIVITY):
            self._activity.unsubscribe(connection, channel.removeprefix(protocol.ACTIVITY))
        elif key is not None and key in self._topics:
            self._topics[key].unsubscribe(connection)

    def on_slow(self, connection: ClientConnection) -> None:
        self._keepalive.on_slow(connection)

    def on_drained(self, connection: ClientConnection) -> None:
        """It has read on: give it what it is owed."""
        self._keepalive.on_drained(connection)
        owed, connection.missed_versions = connection.missed_versions, None
        for channel, version in (owed or {}).items():
            if channel == protocol.ME:
                self._personal_ranks.subscribe(connection, announced=False, id_=None)
            elif (key := connection.subscriptions.get(channel)) is not None:
                self._topics[key].send_missed(connection, version)

    # -- life

    async def run(self) -> None:
        """Tell what is due until `close()`, then send everybody away."""
        async with self._tasks:
            chores = [self._tasks.create_task(work, name=f"live-{name}") for name, work in self._chores().items()]
            await self._closing.wait()
            await self._close_all()
            for task in [*chores, *(topic.task for topic in self._topics.values())]:
                if task is not None:
                    task.cancel()
            self._drained.set()

    def _chores(self) -> dict[str, Coroutine[Any, Any, None]]:
        return {
            "keepalive": self._keepalive.run(),
            "slow": self._keepalive.evict_slow(),
            "first-ranks": self._personal_ranks.send_first(),
            "changed-ranks": self._personal_ranks.send_changes(),
            "activity": self._activity.broadcast_loop(),
            "refresh": run_periodically(REFRESH_ALL_SECONDS, self._refresh_all),
            "sanctions": run_periodically(SANCTION_SECONDS, self._apply_sanctions),
        }

    def close(self) -> None:
        """Refuse new sockets and send the others away, over a while."""
        self.connection_limits.closed = True
        self._closing.set()

    async def drained(self) -> None:
        """Wait until everybody was sent away."""
        await self._drained.wait()

    async def _close_all(self) -> None:
        connections = list(self._connections)
        pace = min(DRAIN_PACE, self._drain_seconds / max(1, len(connections)))
        began = asyncio.get_running_loop().time()
        for number, one in enumerate(connections):
            ahead = began + number * pace - asyncio.get_running_loop().time()
            if ahead > 0:
                await asyncio.sleep(ahead)
            if one.closed_with is None:
                one.drain(random.randint(*RETRY_MS))  # noqa: S311  jitter, not a secret
        await self._until_empty()

    async def _until_empty(self) -> None:
        """Let them read why; who does not answer is cut, so that it holds up nothing."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(client_connection.CLOSE_GRACE):
                while self._connections:
                    self._connection_removed.clear()
                    await self._connection_removed.wait()
        for one in list(self._connections):
            one.abort(Close.DRAINING)

    def _view_of(self, connection: ClientConnection) -> View:
        """Return the view with which a connection is shown boards."""
        return View(connection.user_id) if connection.user_id in self._sources.shadowed() else PUBLIC

    def _open(self, key: TopicKey) -> Topic:
        slug, size, _ = key
        topic = self._topics[key] = Topic(slug, size)
        topic.task = self._tasks.create_task(self._refresh_loop(key, topic), name=f"live-{slug}-{size}")
        return topic

    async def _refresh_loop(self, key: TopicKey, topic: Topic) -> None:
        """Read and send a board whenever it moved, as long as somebody watches."""
        loop = asyncio.get_running_loop()
        slug, size, view = key
        while await topic.wait_for_subscribers(HISTORY_SECONDS if len(self._topics) <= MAX_IDLE_TOPICS else 0):
            moved_at, began = topic.begin_read(), loop.time()
            try:
                ready = await self._sources.top(slug, size, view)
            except LaurelsError as error:
                if error.code is Code.BOARD_UNKNOWN:
                    break
                log.warning("live board not read", board=slug, code=error.code)
                await asyncio.sleep(RETRY_READ_SECONDS)
                topic.mark_moved()
                continue
            await topic.publish(ready)
            telemetry.LIVE_BROADCAST_SECONDS.observe(time.perf_counter() - moved_at)
            await asyncio.sleep(pause_after(loop.time() - began, self._interval))
            await topic.wait_until_due()
        del self._topics[key]
        topic.end(_board_unknown(slug, self._sources.boards()))

    async def _refresh_all(self) -> None:
        for topic in self._topics.values():
            topic.mark_moved()
        for slug in self._sources.boards():
            self._personal_ranks.mark_moved(slug)

    async def _apply_sanctions(self) -> None:
        """The banned are sent away; who is shadowed, or no longer, sees boards with other eyes."""
        blocked = self._sources.blocked()
        for one in [one for one in self._connections if one.user_id is not None]:
            if one.user_id in blocked:
                one.close(Close.NOT_ALLOWED)
            else:
                self._resubscribe_as_seen(one)

    def end_sessions(self, user_ids: Iterable[int]) -> None:
        """Close the sockets of these users that may no longer speak for them: banned, or their token was ended."""
        ids, blocked = (
            {user_id for user_id in user_ids if self.connection_limits.holds(user_id)},
            self._sources.blocked(),
        )
        if not ids:
            return
        for one in [one for one in self._connections if one.user_id in ids]:
            if one.user_id in blocked:
                one.close(Close.NOT_ALLOWED)
            elif one.token_ended():
                one.close(Close.TOKEN_ENDED)

    def _resubscribe_as_seen(self, connection: ClientConnection) -> None:
        view = self._view_of(connection)
        for channel, key in list(connection.subscriptions.items()):
            if key is not None and key[2] != view:
                self.unsubscribe(connection, channel)
                self.subscribe(connection, StartSubscription(channel, key[1], None, None, confirm=False))

    def __len__(self) -> int:
        return len(self._connections)


def pause_after(took: float, interval: float) -> float:
    """Seconds until the next frame: they begin `interval` apart, or as far as reading and sending to so many allow."""
    return max(interval - took, took * IDLE_SHARE)


def _board_unknown(slug: str, boards: Iterable[str]) -> LaurelsError:
    return LaurelsError(Code.BOARD_UNKNOWN, f"There is no board {slug!r}. Boards: {', '.join(boards)}.")


def _close_label(code: int) -> str:
    """Clients choose their codes among thousands: as labels they would be a metric each."""
    known = (1000, 1001, 1005, client_connection.ABNORMAL_CLOSURE, *protocol.REASONS)
    return str(int(code)) if code in known else "other"
