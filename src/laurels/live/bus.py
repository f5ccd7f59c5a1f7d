"""Messages between nodes through Redis pub/sub, so that screens change in milliseconds and not at the next poll.

    top    the top list of a board changed: board, window, epoch, seq. The latest wins, an older seq is dropped.
    news   the journal has an entry that is not about standings (a ban, a changed type, a snapshot): read it now.
    taken  the news was applied: its sender may answer its operator that the change is in force everywhere.
    beat   a heartbeat a second. Its own proves that the way works and how long it takes; those of others name peers.

No correctness rests on a message: every node reads the journal twice a second anyway, and the hub reads every board
again now and then. Senders never wait: a message replaces the unsent one of its board in a table; a task sends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import structlog
from redis.exceptions import RedisError

from .. import telemetry
from ..concurrency.bounded_dict import BoundedDict
from ..concurrency.periodic import run_periodically
from ..ranking.projection_types import WindowChanged
from ..redis_store import RedisStore, RedisUnavailable
from ..redis_store.store import CALL_SECONDS, Client, closed_transport_is_reset

log = structlog.get_logger(__name__)

HEARTBEAT_SECONDS = 1.0
HEARTBEAT_SLACK = 0.5
SILENT_SECONDS = 3.0
"""The bus is down when its own heartbeat has not arrived for so long, whatever the connection says."""
RETRY_SECONDS = (0.1, 1.0)
"""Range of the pause before the next try to subscribe, at random: all nodes lose Redis at the same moment."""
PENDING = 512
"""Unsent messages at most, one per board; other nodes find further changes in the journal."""
REMEMBERED_WINDOWS = 4_096
"""Windows whose last seq is remembered, to drop older messages."""
MESSAGES_PER_TURN = 256
"""Messages received between two turns of the loop."""
MAX_NODES = 1_000
"""Peers remembered at most."""
JOURNAL_READ_SECONDS = 0.6
"""Seconds after which every node has read the journal by itself."""


class WindowMoved(msgspec.Struct, frozen=True, tag="top"):
    node: str
    board: str
    window: int
    epoch: str
    seq: int


class JournalNews(msgspec.Struct, frozen=True, tag="news"):
    """`number` counts the news of this node."""

    node: str
    number: int


class NewsApplied(msgspec.Struct, frozen=True, tag="taken"):
    """`node` has applied the news of `sender`, up to this number."""

    node: str
    sender: str
    number: int


class BusHeartbeat(msgspec.Struct, frozen=True, tag="beat"):
    """`at`: the sender's monotonic clock, meaningful to the sender alone."""

    node: str
    at: float


Message = WindowMoved | JournalNews | NewsApplied | BusHeartbeat
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Message).decode


@dataclass(slots=True)
class BusListener:
    """Callbacks, called from the bus's own task. They must not block.

    on_board_moved: a board changed on another node.
    on_journal_news: read the journal, then call the argument.
    on_gap: anything may have been missed.
    """

    on_board_moved: Callable[[str], None]
    on_journal_news: Callable[[Callable[[], None]], None]
    on_gap: Callable[[], None]


@dataclass(slots=True)
class Bus:
    """The bus as one node sees it. Run `run()` in a task."""

    store: RedisStore
    node: str
    listener: BusListener
    _pending: dict[str, Message] = field(default_factory=dict)
    _work: asyncio.Event = field(default_factory=asyncio.Event)
    _known: BoundedDict[int, tuple[str, int]] = field(default_factory=lambda: BoundedDict(REMEMBERED_WINDOWS))
    """Window -> epoch and seq of its last message."""
    _own_heartbeat_at: float = float("-inf")
    _listening_since: float = float("-inf")
    _last_heard: dict[str, float] = field(default_factory=dict)
    """When a heartbeat of each peer arrived last."""
    _number: int = 0
    _applied_by: dict[str, int] = field(default_factory=dict)
    _applied: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def channel(self) -> str:
        """Return the channel; the ledger's id in it separates deployments, as pub/sub ignores numbered databases."""
        return self.store.key("bus")

    @property
    def is_up(self) -> bool:
        """Return whether the own heartbeat arrived a moment ago."""
        return asyncio.get_running_loop().time() - self._own_heartbeat_at < SILENT_SECONDS

    @property
    def _knows_peers(self) -> bool:
        """Return whether the node has listened for long enough to receive a heartbeat of each peer."""
        now = asyncio.get_running_loop().time()
        return self.is_up and now - self._listening_since > HEARTBEAT_SECONDS + HEARTBEAT_SLACK

    def degraded_reasons(self) -> list[str]:
        return [] if self.is_up else ["bus: no messages from other nodes, boards are read again every second"]

    def on_window_changed(self, change: WindowChanged) -> None:
        """Report to other nodes that this one saw a top list change. A listener of the projection."""
        window = change.window
        if change.top and self._is_new(window.id, change.epoch, change.seq):
            message = WindowMoved(self.node, window.board.slug, window.id, change.epoch, change.seq)
            self._enqueue(f"top {window.id}", message)

    async def wait_for_propagation(self) -> frozenset[str]:
        """Wait until all live nodes have applied what this one just journalled; return the nodes that have.

        For changes that are not about standings. Does not end while a node that was heard a moment ago does not answer:
        the caller bounds the wait.
        """
        self._number += 1
        number = self._number
        self._enqueue("news", JournalNews(self.node, number))
        if not self._knows_peers:
            await asyncio.sleep(JOURNAL_READ_SECONDS)
        while self._unconfirmed(number):
            self._applied.clear()
            await self._applied.wait()
        return frozenset(node for node, applied in self._applied_by.items() if applied >= number)

    def _unconfirmed(self, number: int) -> bool:
        since = asyncio.get_running_loop().time() - SILENT_SECONDS
        return any(heard > since and self._applied_by.get(node, 0) < number for node, heard in self._last_heard.items())

    def _enqueue(self, slot: str, message: Message) -> None:
        if len(self._pending) >= PENDING and slot not in self._pending:
            telemetry.BUS_DROPPED.inc()
            return
        self._pending[slot] = message
        self._work.set()

    async def run(self) -> None:
        """Send and receive until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send(), name="bus-send")
            tasks.create_task(self._listen(), name="bus-listen")
            tasks.create_task(self._watch(), name="bus-watch")

    async def _send(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            messages, self._pending = self._pending, {}
            with contextlib.suppress(RedisUnavailable):  # other nodes find it in the journal
                await self._publish(list(messages.values()))

    async def _publish(self, messages: list[Message]) -> None:
        async def work(client: Client) -> list[object]:
            pipe = client.pipeline(transaction=False)
            for message in messages:
                pipe.publish(self.channel, _encode(message))
            answers: list[object] = await pipe.execute()
            return answers

        await self.store.call(work)
        telemetry.BUS_MESSAGES.labels("sent").inc(len(messages))

    async def _watch(self) -> None:
        """Send heartbeats; while none arrives, have every board read again instead."""
        self._send_heartbeat()
        await run_periodically(HEARTBEAT_SECONDS, self._check_heartbeat)

    def _send_heartbeat(self) -> None:
        self._enqueue("beat", BusHeartbeat(self.node, asyncio.get_running_loop().time()))

    async def _check_heartbeat(self) -> None:
        telemetry.BUS_UP.set(self.is_up)
        if not self.is_up:
            self.listener.on_gap()
        self._send_heartbeat()

    async def _listen(self) -> None:
        while True:
            try:
                with closed_transport_is_reset():
                    await self._receive()
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("bus lost", reason=str(error) or type(error).__name__)
            await asyncio.sleep(random.uniform(*RETRY_SECONDS))  # noqa: S311  jitter

    async def _receive(self) -> None:
        """Receive on one subscription, until it fails or is silent for too long."""
        async with self.store.client.pubsub() as subscription:
            async with asyncio.timeout(CALL_SECONDS):
                await subscription.subscribe(self.channel)
            since = asyncio.get_running_loop().time()
            received = 0
            while True:
                message = await subscription.get_message(timeout=HEARTBEAT_SECONDS)
                if message is not None:
                    self._dispatch(message)
                elif asyncio.get_running_loop().time() - max(since, self._own_heartbeat_at) > SILENT_SECONDS:
                    raise TimeoutError("no message arrived")
                received += 1
                if received % MESSAGES_PER_TURN == 0:
                    await asyncio.sleep(0)

    def _dispatch(self, raw: dict[str, object]) -> None:
        if raw["type"] == "subscribe":  # the first, or after a reconnect of redis-py: messages in between are lost
            self._known.clear()
            self._listening_since = asyncio.get_running_loop().time()
            self.listener.on_gap()
            return
        try:
            message = _decode(raw["data"])  # type: ignore[arg-type]
        except (msgspec.DecodeError, TypeError):
            telemetry.BUS_MESSAGES.labels("malformed").inc()
            return
        telemetry.BUS_MESSAGES.labels("received").inc()
        if isinstance(message, BusHeartbeat):
            self._on_heartbeat(message)
        elif message.node == self.node:
            return
        elif isinstance(message, JournalNews):
            self.listener.on_journal_news(
                lambda: self._enqueue(f"taken {message.node}", NewsApplied(self.node, message.node, message.number))
            )
        elif isinstance(message, NewsApplied):
            if message.sender == self.node:
                self._applied_by[message.node] = message.number
                self._applied.set()
        elif self._is_new(message.window, message.epoch, message.seq):
            self.listener.on_board_moved(message.board)

    def _on_heartbeat(self, heartbeat: BusHeartbeat) -> None:
        now = asyncio.get_running_loop().time()
        if heartbeat.node == self.node:
            self._own_heartbeat_at = now
            telemetry.BUS_LAG.set(now - heartbeat.at)
            return
        self._last_heard.pop(heartbeat.node, None)
        self._last_heard[heartbeat.node] = now  # the dict is ordered by time: the longest silent peer comes first
        if len(self._last_heard) > MAX_NODES:
            gone = next(iter(self._last_heard))
            del self._last_heard[gone]
            self._applied_by.pop(gone, None)

    def _is_new(self, window: int, epoch: str, seq: int) -> bool:
        """Return whether this seq of a window is newer than the last, and remember it.

        Seqs of different epochs can't be compared: another epoch counts as newer.
        """
        if not epoch:  # counted in the ledger, which has no seq
            return True
        known = self._known.get(window)
        if known is not None and known[0] == epoch and known[1] >= seq:
            return False
        self._known.put(window, (epoch, seq))
        return True
