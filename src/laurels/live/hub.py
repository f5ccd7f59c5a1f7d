"""The hub: which connection subscribes to what, which boards changed, and the tasks that send the changes.

Each topic (a board at one size, in one view) has a task of its own. It alone reads the board and decides what its
subscribers see, so what a client sees never goes back in time. A changed board is sent at once (leading edge), then
not again before the frame interval is over.
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
from ..ranking.projection_types import WindowChanged
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
"""Seconds until a failed read of a board is retried."""
REFRESH_ALL_SECONDS = 25.0
"""Seconds between two reads of every subscribed board: a change that no event reported shows by then."""
SANCTION_SECONDS = 1.0
IDLE_SHARE = 0.5
"""Share of the time that a frame took to read and send that is left free before the next: requests must not starve."""
MAX_IDLE_TOPICS = 256
"""Beyond so many topics, one without subscribers is dropped at once instead of after HISTORY_SECONDS."""
DRAIN_PACE = 0.01
"""Longest time in seconds between closing two connections while draining: a few need not take the whole drain time."""
RETRY_MS = (500, 5_000)
"""Range, in milliseconds, from which the node draws how long each client waits before it reconnects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardSources:
    """The reads of the hub. `top` (slug, size, view) and `places` (slug, user ids) raise LaurelsError."""

    top: Callable[[str, int, View], Awaitable[ReadyBoard]]
    places: Callable[[str, Sequence[int]], Awaitable[PlacesOnBoard]]
    names: LoadPeople
    boards: Callable[[], Iterable[str]]
    type_ids: Callable[[], Mapping[str, int]]
    blocked: Callable[[], set[int]]
    shadowed: Callable[[], set[int]]


class Hub:
    """Run `run()` in a task. `drain_seconds`: over how long connections are closed at the end."""

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

    # -- changes of boards

    def set_frame_rate(self, frames_per_second: int) -> None:
        """Change the frames per second and board, from the next frame on."""
        self.frames_per_second = frames_per_second
        self._interval = 1 / frames_per_second

    def on_window_changed(self, change: WindowChanged) -> None:
        """Schedule reads of the changed board. A listener of the projection."""
        slug = change.window.board.slug
        self._personal_ranks.mark_moved(slug)
        if change.top:
            self.refresh(slug)

    def refresh(self, board: str) -> None:
        """Read the board again: something that it shows may have changed."""
        for (slug, _, _), topic in self._topics.items():
            if slug == board:
                topic.mark_moved()

    def on_batch_committed(self, batch: CommittedBatch) -> None:
        """Schedule what a batch committed by this node changes."""
        self._activity.on_batch_committed(batch)
        if self._sources.shadowed():  # their actions change no index, only their own view
            acted = {action.user_id for action in batch.new_actions}
            for (_, _, view), topic in self._topics.items():
                if view.shadowed_user in acted:
                    topic.mark_moved()

    # -- connections

    def add(self, connection: ClientConnection) -> None:
        """Register a connection, until `remove`. Raises LaurelsError(TOO_MANY_SOCKETS)."""
        self.connection_limits.acquire(connection.address)
        self._connections[connection] = None
        try:
            telemetry.SOCKETS.set(len(self._connections))
            connection.keepalive_slot = self._keepalive.add(connection)
        except BaseException:
            self.remove(connection)
            raise

    def remove(self, connection: ClientConnection) -> None:
        """Forget a lost connection and release its limits. May be called twice."""
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
        """Close all but the oldest `count` connections of a user, who holds too many over all nodes."""
        held = [one for one in self._connections if one.user_id == user_id and one.closed_with is None]
        for connection in held[count:]:
            connection.close(Close.TOO_MANY_SOCKETS)

    def unsubscribe_all(self, connection: ClientConnection) -> None:
        """Stop writing to a connection."""
        for channel in list(connection.subscriptions):
            self.unsubscribe(connection, channel)
        self._keepalive.on_writable(connection)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run a task of a connection. It may outlive the connection, but not the hub."""
        self._tasks.create_task(work, name=name)

    # -- subscriptions

    def subscribe(self, connection: ClientConnection, subscription: StartSubscription) -> None:
        """Start a subscription; for an unknown board, call `connection.on_channel_gone`."""
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
            if topic is None:  # one without subscribers is used too: it has the history
                topic = self._open(key)
            topic.subscribe(PendingSubscription(connection, subscription.since, subscription.id, subscription.confirm))

    def unsubscribe(self, connection: ClientConnection, channel: str) -> None:
        """Write nothing of this channel to the connection any more. Does nothing without a subscription."""
        if channel not in connection.subscriptions:
            return
        key = connection.subscriptions.pop(channel)
        if connection.last_versions:
            connection.last_versions.pop(channel, None)
        if channel == protocol.ME:
            self._personal_ranks.unsubscribe(connection)
        elif channel.startswith(protocol.ACTIVITY):
            self._activity.unsubscribe(connection, channel.removeprefix(protocol.ACTIVITY))
        elif key is not None and key in self._topics:
            self._topics[key].unsubscribe(connection)

    def on_slow(self, connection: ClientConnection) -> None:
        """Start the clock after which a slow connection is closed."""
        self._keepalive.on_slow(connection)

    def on_writable(self, connection: ClientConnection) -> None:
        """Send what the connection missed while it was slow."""
        self._keepalive.on_writable(connection)
        last_versions, connection.last_versions = connection.last_versions, None
        for channel, version in (last_versions or {}).items():
            if channel == protocol.ME:
                self._personal_ranks.subscribe(connection, confirm=False, id_=None)
            elif (key := connection.subscriptions.get(channel)) is not None:
                self._topics[key].send_missed(connection, version)

    # -- lifecycle

    async def run(self) -> None:
        """Send changes until `close()`, then close all connections."""
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
        """Refuse new connections and begin to close the others, spread over the drain time."""
        self.connection_limits.closed = True
        self._closing.set()

    async def drained(self) -> None:
        """Wait until all connections are closed."""
        await self._drained.wait()

    async def _close_all(self) -> None:
        connections = list(self._connections)
        pace = min(DRAIN_PACE, self._drain_seconds / max(1, len(connections)))
        began = asyncio.get_running_loop().time()
        for number, connection in enumerate(connections):
            ahead = began + number * pace - asyncio.get_running_loop().time()
            if ahead > 0:
                await asyncio.sleep(ahead)
            if connection.closed_with is None:
                connection.drain(random.randint(*RETRY_MS))  # noqa: S311  jitter, not a secret
        await self._until_empty()

    async def _until_empty(self) -> None:
        """Give clients CLOSE_GRACE seconds to read the close frame, then abort: none may delay the stop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(client_connection.CLOSE_GRACE):
                while self._connections:
                    self._connection_removed.clear()
                    await self._connection_removed.wait()
        for connection in list(self._connections):
            connection.abort(Close.DRAINING)

    def _view_of(self, connection: ClientConnection) -> View:
        """Return the view with which a connection is shown boards."""
        return View(connection.user_id) if connection.user_id in self._sources.shadowed() else PUBLIC

    def _open(self, key: TopicKey) -> Topic:
        slug, size, _ = key
        topic = self._topics[key] = Topic(slug, size)
        topic.task = self._tasks.create_task(self._refresh_loop(key, topic), name=f"live-{slug}-{size}")
        return topic

    async def _refresh_loop(self, key: TopicKey, topic: Topic) -> None:
        """Read and send a board whenever it changed, as long as it has subscribers."""
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
        """Close connections of banned users; switch the view of users who were shadowed, or no longer are."""
        blocked = self._sources.blocked()
        for connection in [one for one in self._connections if one.user_id is not None]:
            if connection.user_id in blocked:
                connection.close(Close.NOT_ALLOWED)
            else:
                self._resubscribe_as_seen(connection)

    def close_ended_sessions(self, user_ids: Iterable[int]) -> None:
        """Close the connections of these users that are banned, or whose token was ended before its time."""
        ids = {user_id for user_id in user_ids if self.connection_limits.holds(user_id)}
        if not ids:
            return
        blocked = self._sources.blocked()
        for connection in [one for one in self._connections if one.user_id in ids]:
            if connection.user_id in blocked:
                connection.close(Close.NOT_ALLOWED)
            elif connection.token_ended():
                connection.close(Close.TOKEN_ENDED)

    def _resubscribe_as_seen(self, connection: ClientConnection) -> None:
        view = self._view_of(connection)
        for channel, key in list(connection.subscriptions.items()):
            if key is not None and key[2] != view:
                self.unsubscribe(connection, channel)
                self.subscribe(connection, StartSubscription(channel, key[1], None, None, confirm=False))

    def __len__(self) -> int:
        return len(self._connections)


def pause_after(took: float, interval: float) -> float:
    """Return the seconds until the next frame.

    Frames begin `interval` apart, or further when reading and sending take long (IDLE_SHARE).
    """
    return max(interval - took, took * IDLE_SHARE)


def _board_unknown(slug: str, boards: Iterable[str]) -> LaurelsError:
    return LaurelsError(Code.BOARD_UNKNOWN, f"There is no board {slug!r}. Boards: {', '.join(boards)}.")


def _close_label(code: int) -> str:
    """Return the label of a close code. Clients choose among thousands; each would be a time series of its own."""
    known = (1000, 1001, 1005, client_connection.ABNORMAL_CLOSURE, *protocol.REASONS)
    return str(int(code)) if code in known else "other"
