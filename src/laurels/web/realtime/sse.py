"""One live channel as Server-Sent Events, for clients that only read: curl, `EventSource`, a small screen.

The frames are those of the WebSocket. A board's version is the event's id, so that a browser that reconnects resumes by
itself.
"""

from __future__ import annotations

import asyncio
import random
import time
from functools import partial

from ...domain.errors import Code, LaurelsError
from ...ledger.catalogue.catalogue import Catalogue
from ...live import protocol
from ...live.client_connection import ClientConnection
from ...live.hub import RETRY_MS, Hub
from ...live.protocol import Close
from ...live.session import StartSubscription
from ..auth.access_tokens import Principal
from ..context import LiveContext
from ..http.aiohttp_types import StreamResponse, hdrs
from ..http.responses import SECURITY_HEADERS, Reply
from ..http.takeover import UpgradedResponse
from ..pipeline.call import Call
from .handshake import hand_over

MEDIA_TYPE = "text/event-stream"
STRAY_BYTES = 4_096
"""Bytes that a client may send after its request; more end the connection."""


async def events(context: LiveContext, call: Call) -> Reply | StreamResponse:
    """Send the head of the response and leave the transport to an SseConnection."""
    subscription = _subscription_of(context.actions.catalogue, call)
    principal = _user(call) if subscription.channel == protocol.ME else None
    headers = {
        **SECURITY_HEADERS,
        **context.origins.grant(call.request.headers),
        "Content-Type": MEDIA_TYPE,
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",  # nginx would keep events until its buffer is full
        "X-Request-ID": call.request_id,
    }
    if call.request.method == hdrs.METH_HEAD:
        return Reply(b"", 200, headers)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 200 OK\r\n{lines}Connection: close\r\n\r\n".encode()
    stream = SseConnection(context.hub, call.address)
    if principal is not None:
        stream.token_ended = partial(context.revocations.ends, principal)

    def start(ahead: bytes) -> None:
        stream.open(head, subscription, principal)
        stream.data_received(ahead)

    hand_over(context.hub, call, stream, start)
    return UpgradedResponse(status=200)


def event(kind: str, version: str, message: bytes) -> bytes:
    """Return one event; JSON has no line breaks in it. Without a version, the client's last id stays as it is."""
    if version:
        return b"event: %b\nid: %b\ndata: %b\n\n" % (kind.encode(), version.encode(), message)
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), message)


class SseConnection(ClientConnection):
    """One client's stream of one channel. Bytes that the client sends are dropped; STRAY_BYTES of them end it."""

    __slots__ = ("_received", "_timer", "hub")

    encode_frame = staticmethod(event)

    def __init__(self, hub: Hub, address: str) -> None:
        super().__init__(hub, address)
        self.hub = hub
        self._timer: asyncio.TimerHandle | None = None
        self._received = 0

    def data_received(self, data: bytes) -> None:
        """Drop what the client sends."""
        self._received += len(data)
        if self._received > STRAY_BYTES:
            self.abort(Close.TOO_MANY_FRAMES)

    def open(self, head: bytes, subscription: StartSubscription, principal: Principal | None) -> None:
        """Send the head and subscribe; without `principal` anonymously."""
        self.write(head + _retry(random.randint(*RETRY_MS)))  # noqa: S311  jitter, not a secret
        if principal is not None and not self._acquire_user(principal):
            return
        self.hub.subscribe(self, subscription)

    def _acquire_user(self, principal: Principal) -> bool:
        try:
            self.hub.connection_limits.acquire_user(principal.user_id)
        except LaurelsError as full:
            self._refuse(full, Close.TOO_MANY_SOCKETS)
            return False
        self.user_id, self.username = principal.user_id, principal.username
        left = principal.ends_at - time.time()
        self._timer = asyncio.get_running_loop().call_later(left, self.close, Close.TOKEN_ENDED)
        return True

    def _refuse(self, error: LaurelsError, code: Close) -> None:
        self.send(event("error", "", protocol.encode(protocol.error_frame(error))))
        self.close(code)

    def on_channel_gone(self, channel: str, error: LaurelsError, id_: int | None) -> None:  # noqa: ARG002  a stream has no ids
        """Send an error event and end the stream."""
        self.hub.unsubscribe(self, channel)
        self._refuse(error, Close.NORMAL)

    def keepalive_frames(self, *, with_heartbeat: bool) -> bytes:
        """Return a heartbeat. Nothing answers events: the kernel (TCP_USER_TIMEOUT) detects clients that are gone."""
        return event("heartbeat", "", protocol.HEARTBEAT) if with_heartbeat else b""

    def close_bytes(self, code: int) -> bytes:
        """Return an error event where the client must know the reason: a stream has no close codes."""
        refusal = _CLOSE_REASONS.get(code)
        return b"" if refusal is None else event("error", "", protocol.encode(protocol.error_frame(refusal)))

    def close(self, code: int) -> None:
        """End the stream."""
        super().close(code)
        self.transport.close()

    def drain(self, retry_ms: int) -> None:
        """Tell the client to reconnect after `retry_ms`, and end the stream."""
        said = protocol.encode(protocol.Drain(retry_ms=retry_ms))
        self.send(_retry(retry_ms) + event("drain", "", said))
        self.close(Close.DRAINING)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer of the token and leave the hub."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)


_CLOSE_REASONS: dict[int, LaurelsError] = {
    Close.TOKEN_ENDED: LaurelsError(Code.TOKEN_INVALID, "This access token has ended. Come back with a new one."),
    Close.NOT_ALLOWED: LaurelsError(Code.BANNED, "This account is banned."),
}


def _retry(milliseconds: int) -> bytes:
    return b"retry: %d\n\n" % milliseconds


def _subscription_of(catalogue: Catalogue, call: Call) -> StartSubscription:
    """Return what a request subscribes to. Raises LaurelsError BOARD_UNKNOWN or INVALID_REQUEST."""
    params = call.params
    channel = params.channel or protocol.BOARD + catalogue.default_board.slug
    kind, _, slug = channel.partition(":")
    if slug:
        catalogue.board(slug)
    since = call.header("Last-Event-ID") or params.since
    if f"{kind}:" != protocol.BOARD:
        if params.size is not None:
            raise LaurelsError(Code.INVALID_REQUEST, "Only boards have a size.", path="$.size")
        since = None
    size = (params.size or protocol.DEFAULT_SIZE) if f"{kind}:" == protocol.BOARD else None
    return StartSubscription(channel, size, since, None, confirm=False)


def _user(call: Call) -> Principal:
    """Return the user of a request for the channel `me`. Raises LaurelsError(TOKEN_MISSING)."""
    if call.caller is None:
        raise LaurelsError(Code.TOKEN_MISSING, "Your own places need an access token: Authorization: Bearer …")
    return call.user
