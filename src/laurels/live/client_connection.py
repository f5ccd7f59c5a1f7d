"""The outgoing half of one connection: frames leave at once or are skipped, answers are kept in order.

Writes never wait. The kernel's send buffer, kept small, is the outbox of frames: a transport that
holds a single byte back is behind (`ready` is false) and gets no frames until that is gone. Answers
to what the client said are written all the same, within OUTBOX_BYTES; meanwhile nothing is read.
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
"""What the kernel may hold for one socket (Linux doubles it, and counts overhead): some thirty frames. Left
alone it grows to megabytes per stalled reader."""
OUTBOX_BYTES = 256 * 1024
"""Answers that may wait for a reader; one more closes with SLOW."""
CLOSE_GRACE = 5.0
"""Seconds in which the other side may read why and answer, before the connection is cut."""
ABNORMAL_CLOSURE = 1006
"""The other side went without a word (RFC 6455's code for it)."""
SLICE = 64
"""Connections written to between two turns of the loop."""
DEAD_SECONDS = 20
"""A peer that acknowledges nothing for so long is gone, as the kernel sees it."""

TopicKey = tuple[str, int, View]
"""A topic: slug, size, and the view (nearly always the public one)."""
FrameEncoder = Callable[[str, str, bytes], bytes]
"""(type, version or empty, JSON) -> what is written. Frames for many are dressed once per kind of viewer."""


class ConnectionListener(Protocol):
    """What a connection reports to the hub, synchronously. The connection knows nothing else of it."""

    def remove(self, connection: ClientConnection) -> None:
        """The connection is lost. May be called twice."""

    def unsubscribe_all(self, connection: ClientConnection) -> None:
        """The connection is closing: write nothing more to it."""

    def on_slow(self, connection: ClientConnection) -> None:
        """The transport holds bytes back."""

    def on_drained(self, connection: ClientConnection) -> None:
        """The transport has written everything: send what the client missed."""


class ClientConnection(asyncio.Protocol):
    """`owed`: channel -> version it had when frames began to be skipped (empty where it had none).

    `closed_with`: the code of the goodbye it was sent, after which it is sent nothing. `heard`: whether
    something came since it was last pinged. `slot`: its place on the wheel. `reading`: whether the transport is not
    paused. `token_ended`: whether the token that it speaks with was ended before its time.
    """

    __slots__ = (
        "address",
        "behind_since",
        "closed_with",
        "heard",
        "keepalive_slot",
        "listener",
        "missed_versions",
        "reading",
        "ready",
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
        self.reading = True
        self.heard = True
        self.missed_versions: dict[str, str] | None = None
        self.behind_since: float | None = None
        self.closed_with: int | None = None
        self.subscriptions: dict[str, TopicKey | None] = {}
        self.keepalive_slot = 0
        self.user_id: int | None = None
        self.username = ""
        self.token_ended: Callable[[], bool] = _not_ended

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport over, after `hub.enter` and the handshake."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are not its subclass
        self.write = self.transport.write
        self.transport.set_write_buffer_limits(high=0)
        _tune(self.transport)
        self.transport.resume_reading()  # the HTTP server pauses it when much arrives right behind the handshake

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        self.ready = False
        if self.closed_with is None:
            self.closed_with = ABNORMAL_CLOSURE  # uvloop raises when a closed transport is written to
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
        self.listener.on_drained(self)

    def accepts_input(self) -> bool:
        """Return whether the transport may read now."""
        return self.ready

    def update_reading(self) -> None:
        """Pause or resume the transport as `accepts_input` says."""
        accepts = self.accepts_input()
        if accepts == self.reading:
            return
        self.reading = accepts
        with contextlib.suppress(RuntimeError):  # it is closing
            if accepts:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def send(self, data: bytes) -> None:
        """An answer: it is written whatever waits before it. Too much waiting closes."""
        if self.closed_with is not None:
            return
        self.write(data)
        if not self.ready and self.transport.get_write_buffer_size() > OUTBOX_BYTES:
            self.close(Close.SLOW)

    def record_missed(self, channel: str, version: str) -> None:
        """A frame of this channel was skipped, on top of `version`; the first such version counts."""
        if self.missed_versions is None:
            self.missed_versions = {}
        self.missed_versions.setdefault(channel, version)

    def close(self, code: int) -> None:
        """Say why, send nothing after it, and cut soon: a graceful close waits for what does not drain."""
        if self.closed_with is not None:
            return
        self.write(self.close_bytes(code))
        self.closed_with = code
        self.ready = False
        self.listener.unsubscribe_all(self)
        asyncio.get_running_loop().call_later(CLOSE_GRACE, self.transport.abort)

    def abort(self, code: int) -> None:
        """Without a word: nobody is there to read it."""
        if self.closed_with is None:
            self.closed_with = code
        self.ready = False
        self.transport.abort()

    def keepalive_frames(self, *, with_heartbeat: bool) -> bytes:
        """What shows that the server lives and, where the other side answers it (`heard`), that it does."""
        raise NotImplementedError

    def close_bytes(self, code: int) -> bytes:
        """The last bytes, which say `code`."""
        raise NotImplementedError

    def drain(self, retry_ms: int) -> None:
        """The node is stopping: come back after `retry_ms`."""
        raise NotImplementedError

    def on_channel_gone(self, channel: str, error: LaurelsError, id_: int | None) -> None:
        """The hub follows `channel` no longer for this viewer: it is not there."""
        raise NotImplementedError


def _not_ended() -> bool:
    return False


def broadcast(connections: Iterable[ClientConnection], frame: bytes, channel: str, version: str) -> None:
    """Write one frame to those who are ready; the others are owed what follows `version`."""
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
    """A slice at a time, with a turn of the loop between them: requests are answered meanwhile."""
    for start in range(0, len(connections), SLICE):
        yield connections[start : start + SLICE]
        await asyncio.sleep(0)


def _tune(transport: asyncio.Transport) -> None:
    """Bound what the kernel keeps for a socket that is not read, and how long it waits for a dead one."""
    sock = transport.get_extra_info("socket")
    if sock is None:
        return
    with contextlib.suppress(OSError):  # closed already
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_SECONDS * 1000)
