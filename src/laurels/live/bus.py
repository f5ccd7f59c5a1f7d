"""What nodes tell each other through Redis pub/sub, so that screens move in milliseconds and not at the next poll.

    top    a board's top list moved: board, window, epoch, seq. The latest wins, an old seq is dropped.
    news   the journal has an entry that is not about standings (a ban, a changed type, a snapshot): read it now.
    taken  so it was: whoever told the news may tell its operator that the change is in force everywhere.
    beat   each node hears its own, once a second: proof that the whole way works, and how long it takes. By those
           of the others it knows who must take its news.

Nothing rests on a message. The journal stays the truth behind it and is read twice a second anyway; the hub reads
every board again with each heartbeat. Pub/sub loses what is sent while a connection is down, and redis-py
reconnects without a word, so every confirmed subscription means: read everything again. A node that has not heard its
beat for a while says so, and reads every board that is watched once a second until it does.

Nothing waits for the bus: who tells puts a message into a table with one place per board, a task sends it.
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
from ..concurrency.periodic import run_periodically
from ..ranking.projection import WindowChanged
from ..redis_store import RedisStore, RedisUnavailable
from ..redis_store.store import CALL_SECONDS, Client, closed_transport_is_reset

log = structlog.get_logger(__name__)

HEARTBEAT_SECONDS = 1.0
HEARTBEAT_SLACK = 0.5
SILENT_SECONDS = 3.0
"""Without the own beat for so long, the bus is down, whatever the connection says."""
RETRY_SECONDS = (0.1, 1.0)
"""Between two tries to subscribe, at random in between: all nodes lose Redis at the same moment."""
PENDING = 512
"""Boards with an unsent message; more are left to the journal."""
REMEMBERED_WINDOWS = 4_096
"""Windows whose last seq is remembered."""
MESSAGES_PER_TURN = 256
"""Messages taken between two yields."""
MAX_NODES = 1_000
"""Nodes that are remembered."""
JOURNAL_READ_SECONDS = 0.6
"""By then every node has read the journal by itself."""


class WindowMoved(msgspec.Struct, frozen=True, tag="top"):
    node: str
    board: str
    window: int
    epoch: str
    seq: int


class JournalNews(msgspec.Struct, frozen=True, tag="news"):
    """`number`: of this node's news."""

    node: str
    number: int


class NewsApplied(msgspec.Struct, frozen=True, tag="taken"):
    """`node` has taken the news of `teller`, up to this number."""

    node: str
    teller: str
    number: int


class BusHeartbeat(msgspec.Struct, frozen=True, tag="beat"):
    """`at`: by the sender's monotonic clock, for itself alone."""

    node: str
    at: float


Message = WindowMoved | JournalNews | NewsApplied | BusHeartbeat
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Message).decode


@dataclass(slots=True)
class BusListener:
    """Who hears. Called from the bus's own task; must not wait.

    top: a board moved elsewhere.   news: read the journal, and call what is handed over when that is done.
    again: anything may have been missed.
    """

    on_board_moved: Callable[[str], None]
    on_journal_news: Callable[[Callable[[], None]], None]
    on_gap: Callable[[], None]


@dataclass(slots=True)
class Bus:
    """One node's ear and mouth. Run `run()` in a task."""

    store: RedisStore
    node: str
    listener: BusListener
    _pending: dict[str, Message] = field(default_factory=dict)
    _work: asyncio.Event = field(default_factory=asyncio.Event)
    _known: dict[int, tuple[str, int]] = field(default_factory=dict)
    _heard_at: float = float("-inf")
    _listening_since: float = float("-inf")
    _last_heard: dict[str, float] = field(default_factory=dict)
    """When each was heard last."""
    _number: int = 0
    _applied_by: dict[str, int] = field(default_factory=dict)
    _applied: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def channel(self) -> str:
        """Pub/sub ignores Redis' numbered databases: only the ledger's id keeps deployments apart."""
        return self.store.key("bus")

    @property
    def is_up(self) -> bool:
        """Was the own beat heard a moment ago?"""
        return asyncio.get_running_loop().time() - self._heard_at < SILENT_SECONDS

    @property
    def _knows_peers(self) -> bool:
        """Has it listened for long enough to hear a beat of each?"""
        now = asyncio.get_running_loop().time()
        return self.is_up and now - self._listening_since > HEARTBEAT_SECONDS + HEARTBEAT_SLACK

    def degraded_reasons(self) -> list[str]:
        return [] if self.is_up else ["bus: other nodes are not heard, boards are read again every second"]

    def on_window_changed(self, moved: WindowChanged) -> None:
        """A listener of the projection: this node saw a window move."""
        if moved.top and self._is_new(moved.window.id, moved.epoch, moved.seq):
            top = WindowMoved(self.node, moved.window.board.slug, moved.window.id, moved.epoch, moved.seq)
            self._enqueue(f"top {moved.window.id}", top)

    async def wait_for_propagation(self) -> frozenset[str]:
        """This node has journalled something that is not about standings: wait until all that live have taken it.

        Returns the nodes that have. Without end while one that was heard a moment ago does not answer: bound it.
        """
        self._number += 1
        number = self._number
        self._enqueue("news", JournalNews(self.node, number))
        if not self._knows_peers:
            await asyncio.sleep(JOURNAL_READ_SECONDS)
        while self._unconfirmed(number):
            self._applied.clear()
            await self._applied.wait()
        return frozenset(node for node, taken in self._applied_by.items() if taken >= number)

    def _unconfirmed(self, number: int) -> bool:
        since = asyncio.get_running_loop().time() - SILENT_SECONDS
        return any(heard > since and self._applied_by.get(node, 0) < number for node, heard in self._last_heard.items())

    def _enqueue(self, place: str, message: Message) -> None:
        if len(self._pending) >= PENDING and place not in self._pending:
            telemetry.BUS_DROPPED.inc()
            return
        self._pending[place] = message
        self._work.set()

    async def run(self) -> None:
        """Tell and listen until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send(), name="bus-send")
            tasks.create_task(self._listen(), name="bus-listen")
            tasks.create_task(self._watch(), name="bus-watch")

    async def _send(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            taken, self._pending = self._pending, {}
            with contextlib.suppress(RedisUnavailable):  # the journal tells it too
                await self._publish(list(taken.values()))

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
        """Beat; while nothing is heard, have everything read again instead."""
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
        """One subscription, until it fails or is silent for too long."""
        async with self.store.client.pubsub() as subscription:
            async with asyncio.timeout(CALL_SECONDS):
                await subscription.subscribe(self.channel)
            since = asyncio.get_running_loop().time()
            taken = 0
            while True:
                message = await subscription.get_message(timeout=HEARTBEAT_SECONDS)
                if message is not None:
                    self._dispatch(message)
                elif asyncio.get_running_loop().time() - max(since, self._heard_at) > SILENT_SECONDS:
                    raise TimeoutError("nothing heard")
                taken += 1
                if taken % MESSAGES_PER_TURN == 0:
                    await asyncio.sleep(0)

    def _dispatch(self, raw: dict[str, object]) -> None:
        if raw["type"] == "subscribe":  # the first, or one more that the library made in silence
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
            if message.teller == self.node:
                self._applied_by[message.node] = message.number
                self._applied.set()
        elif self._is_new(message.window, message.epoch, message.seq):
            self.listener.on_board_moved(message.board)

    def _on_heartbeat(self, beat: BusHeartbeat) -> None:
        now = asyncio.get_running_loop().time()
        if beat.node == self.node:
            self._heard_at = now
            telemetry.BUS_LAG.set(now - beat.at)
            return
        self._last_heard.pop(beat.node, None)
        self._last_heard[beat.node] = now  # the longest unheard comes first
        if len(self._last_heard) > MAX_NODES:
            gone = next(iter(self._last_heard))
            del self._last_heard[gone]
            self._applied_by.pop(gone, None)

    def _is_new(self, window: int, epoch: str, seq: int) -> bool:
        """Remembers it. Seqs of another epoch can't be compared: they are news."""
        if not epoch:  # the ledger answers: nobody counts
            return True
        known = self._known.get(window)
        if known is not None and known[0] == epoch and known[1] >= seq:
            return False
        self._known[window] = (epoch, seq)
        if len(self._known) > REMEMBERED_WINDOWS:
            del self._known[next(iter(self._known))]
        return True
