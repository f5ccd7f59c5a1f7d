"""The outgoing half of one client connection: frames are written at once or skipped, replies are kept in order.

Writes never wait. Frames wait only in the kernel's send buffer, which is kept small: a transport that holds back a
single byte is slow (`ready` is false) and gets no frames until it has written everything. Replies are written even
then, up to REPLY_BACKLOG bytes; meanwhile nothing is read from the client.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Protocol, cast

from .. import telemetry
from ..domain.errors import LaurelsError
from ..ranking.view import View
from .protocol import Close

SEND_BUFFER = 32 * 1024
"""Bytes that the kernel may hold for one socket (Linux doubles it, and counts overhead): some thirty frames. The
kernel's default grows to megabytes per stalled reader."""
REPLY_BACKLOG = 256 * 1024
"""Bytes of replies that may wait for a slow client; beyond them the connection is closed with SLOW."""
CLOSE_GRACE = 5.0
"""Seconds for the client to read the close frame and answer it, before the connection is aborted."""
ABNORMAL_CLOSURE = 1006
"""RFC 6455: the connection was lost without a close frame."""
SLICE = 64
"""Connections written to between two turns of the loop."""
DEAD_SECONDS = 20
"""TCP_USER_TIMEOUT: the kernel drops a peer that acknowledges nothing for so long."""

TopicKey = tuple[str, int, View]
"""A topic: slug, size, and the view (nearly always the public one)."""
FrameEncoder = Callable[[str, str, bytes], bytes]
"""(type, version or empty, JSON) -> bytes to write. A broadcast is encoded once per kind of connection."""


class ConnectionListener(Protocol):
    """Callbacks of a connection to the hub, called synchronously. The connection knows nothing else of the hub."""

    def remove(self, connection: ClientConnection) -> None:
        """The connection is lost. May be called twice."""

    def unsubscribe_all(self, connection: ClientConnection) -> None:
        """The connection is closing: write nothing more to it."""

    def on_slow(self, connection: ClientConnection) -> None:
        """The transport holds bytes back."""

    def on_writable(self, connection: ClientConnection) -> None:
        """The transport has written everything: send what the client missed."""


class ClientConnection(asyncio.Protocol):
    """One client, whatever its protocol.

    `last_versions`: channel -> the version that the client has, where later frames were skipped (empty: it has none).
    `closed_with`: the close code that was sent; nothing is written after it. `heard`: whether data arrived since the
    last ping. `keepalive_slot`: its slot in the timer wheel. `is_reading`: whether the transport is not paused.
    `token_ended()`: whether the client's token was ended before its time.
    """

    __slots__ = (
        "address",
        "closed_with",
        "heard",
        "is_reading",
        "keepalive_slot",
        "last_versions",
        "listener",
        "ready",
        "slow_since",
        "subscriptions",
        "token_ended",
        "transport",
        "user_id",
        "username",
        "write",
    )

    encode_frame: FrameEncoder

    def __init__(self, listener: ConnectionListener, address: str) -> None:
        self.listener = listener
        self.address = address
        self.ready = True
        self.is_reading = True
        self.heard = True
        self.last_versions: dict[str, str] | None = None
        self.slow_since: float | None = None
        self.closed_with: int | None = None
        self.subscriptions: dict[str, TopicKey | None] = {}
        self.keepalive_slot = 0
        self.user_id: int | None = None
        self.username = ""
        self.token_ended: Callable[[], bool] = _not_ended

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport over, after `hub.add` and the handshake."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are not its subclass
        self.write = self.transport.write
        self.transport.set_write_buffer_limits(high=0)
        _tune(self.transport)
        self.transport.resume_reading()  # the HTTP server pauses it when much arrives right behind the handshake

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        self.ready = False
        if self.closed_with is None:
            self.closed_with = ABNORMAL_CLOSURE  # also stops writes: uvloop raises on a closed transport
        self.listener.remove(self)

    def pause_writing(self) -> None:
        self.ready = False
        if self.closed_with is None:
            self.update_reading()
            self.listener.on_slow(self)

    def resume_writing(self) -> None:
        if self.closed_with is not None:
            return
        self.ready = True
        self.update_reading()
        self.listener.on_writable(self)

    def accepts_input(self) -> bool:
        """Return whether the transport may read now."""
        return self.ready

    def update_reading(self) -> None:
        """Pause or resume the transport as `accepts_input` says."""
        accepts = self.accepts_input()
        if accepts == self.is_reading:
            return
        self.is_reading = accepts
        with contextlib.suppress(RuntimeError):  # the transport is closing
            if accepts:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def send(self, data: bytes) -> None:
        """Write a reply, whatever waits before it. Too much waiting closes the connection."""
        if self.closed_with is not None:
            return
        self.write(data)
        if not self.ready and self.transport.get_write_buffer_size() > REPLY_BACKLOG:
            self.close(Close.SLOW)

    def record_missed(self, channel: str, version: str) -> None:
        """Record that a frame was skipped for a client that has `version` of the channel; the first one counts."""
        if self.last_versions is None:
            self.last_versions = {}
        self.last_versions.setdefault(channel, version)

    def close(self, code: int) -> None:
        """Write a close frame, nothing after it, and abort after CLOSE_GRACE: a slow client might never read it."""
        if self.closed_with is not None:
            return
        self.write(self.close_bytes(code))
        self.closed_with = code
        self.ready = False
        self.listener.unsubscribe_all(self)
        asyncio.get_running_loop().call_later(CLOSE_GRACE, self.transport.abort)

    def abort(self, code: int) -> None:
        """Drop the connection without a close frame: the client does not read."""
        if self.closed_with is None:
            self.closed_with = code
        self.ready = False
        self.transport.abort()

    def keepalive_frames(self, *, with_heartbeat: bool) -> bytes:
        """Return a ping and perhaps a heartbeat: they show the client that the server lives. An answer sets `heard`."""
        raise NotImplementedError

    def close_bytes(self, code: int) -> bytes:
        """Return the last bytes to write, which carry `code`."""
        raise NotImplementedError

    def drain(self, retry_ms: int) -> None:
        """Close because the node is stopping; the client reconnects after `retry_ms`."""
        raise NotImplementedError

    def on_channel_gone(self, channel: str, error: LaurelsError, id_: int | None) -> None:
        """Report to the client that the hub ended its subscription: the board does not exist."""
        raise NotImplementedError


def _not_ended() -> bool:
    return False


def broadcast(connections: Iterable[ClientConnection], frame: bytes, channel: str, version: str) -> None:
    """Write one frame to the ready connections; for the others record that they have `version`."""
    written = skipped = 0
    for connection in connections:
        if connection.ready:
            connection.write(frame)
            written += 1
        elif connection.closed_with is None:
            connection.record_missed(channel, version)
            skipped += 1
    telemetry.FRAMES.inc(written)
    if skipped:
        telemetry.FRAMES_CONFLATED.inc(skipped)


async def in_slices(connections: list[ClientConnection]) -> AsyncIterator[list[ClientConnection]]:
    """Yield SLICE connections at a time, with a turn of the loop between them for requests."""
    for start in range(0, len(connections), SLICE):
        yield connections[start : start + SLICE]
        await asyncio.sleep(0)


def _tune(transport: asyncio.Transport) -> None:
    """Bound what the kernel buffers for a slow client, and how long it waits for a dead one."""
    sock = transport.get_extra_info("socket")
    if sock is None:
        return
    with contextlib.suppress(OSError):  # closed already
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_SECONDS * 1000)
