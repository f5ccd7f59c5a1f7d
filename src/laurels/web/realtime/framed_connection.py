"""A connection that speaks WebSocket frames (RFC 6455): reading in bounded turns, control frames, closing.

What the text messages mean is the subclass's business, see `websocket`.
"""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from ...live import client_connection, framing, protocol
from ...live.client_connection import ClientConnection, ConnectionListener
from ...live.protocol import Close

log = structlog.get_logger(__name__)

FRAMES_PER_TURN = 32
"""Frames of one client that are handled in one turn of the loop."""
_HEARTBEAT_AND_PING = protocol.HEARTBEAT_FRAME + framing.PING_FRAME
_VIOLATIONS = frozenset(
    {
        Close.FAILED,
        Close.SLOW,
        Close.TOO_MANY_FRAMES,
        framing.PROTOCOL_ERROR,
        framing.NO_TEXT,
        framing.NOT_UTF8,
        framing.TOO_BIG,
    }
)
"""Codes after which nothing is decoded or read. After the others the client's close frame is awaited."""


class FramedConnection(ClientConnection):
    """Decodes a client's frames, FRAMES_PER_TURN in a turn of the loop, and hands text messages to `on_text`.

    While frames that have arrived wait for the next turn (`_next_turn`), the transport reads nothing more. `_decoder`
    is None once nothing is decoded any more.
    """

    __slots__ = ("_decoder", "_next_turn")

    def __init__(self, listener: ConnectionListener, address: str) -> None:
        super().__init__(listener, address)
        self._decoder: framing.Decoder | None = framing.Decoder(protocol.MAX_INCOMING)
        self._next_turn: asyncio.Handle | None = None

    # -- for subclasses

    def on_text(self, payload: bytes) -> None:
        """Handle one text message, which counts against the client's rate. Raises FrameError."""
        raise NotImplementedError

    def on_frames_handled(self) -> None:
        """Finish a turn: the frames that arrived together have been handled."""

    def count_frame(self) -> None:
        """Count a frame that is not text against the client's rate; beyond the rate, close."""
        raise NotImplementedError

    def is_within_rate(self) -> bool:
        """Count a frame that arrives after the close frame was sent; return whether it is within the rate."""
        raise NotImplementedError

    def waits(self) -> bool:
        """Return whether frames must wait, although the transport could be read."""
        return False

    @staticmethod
    def encode_frame(kind: str, version: str, message: bytes) -> bytes:  # noqa: ARG004  a FrameEncoder
        """Return a message as a text frame."""
        return framing.text_frame(message)

    # -- reading

    def data_received(self, data: bytes) -> None:
        """Decode what arrived, now or in the next turn."""
        self.heard = True
        if self._decoder is None:
            return
        self._decoder.feed(data)
        if self._next_turn is None:
            self._decode()

    def accepts_input(self) -> bool:
        """Return whether the transport may read now: not before the frames that have arrived are handled."""
        return self._next_turn is None and self._may_decode()

    def resume_writing(self) -> None:
        """Go on with the frames that waited for the client to read."""
        super().resume_writing()
        self.decode_soon()

    def decode_soon(self) -> None:
        """Decode in the next turn of the loop."""
        if self._next_turn is None and self._decoder is not None:
            self._next_turn = asyncio.get_running_loop().call_soon(self._decode)

    def _may_decode(self) -> bool:
        return self._decoder is not None and not self.waits() and (self.ready or self.closed_with is not None)

    def _decode(self) -> None:
        """Handle FRAMES_PER_TURN of the frames that have arrived and leave the others to the next turn of the loop."""
        self._next_turn = None
        try:
            more = self._handle_frames()
        except framing.FrameError as error:
            self.close(error.code)
        except Exception as failure:  # a bug closes this connection and harms no other
            log.error("unexpected failure", exc_info=failure)
            self.close(Close.FAILED)
        else:
            if more:
                self.decode_soon()
        self.update_reading()

    def _handle_frames(self) -> bool:
        """Return whether there may be more. Raises FrameError."""
        handled = 0
        while handled < FRAMES_PER_TURN and (frame := self._next_frame()) is not None:
            self._handle_frame(*frame)
            handled += 1
        self.on_frames_handled()
        return handled == FRAMES_PER_TURN

    def _next_frame(self) -> tuple[int, bytes] | None:
        """Return opcode and payload of the next frame. Raises FrameError."""
        return self._decoder.next() if self._decoder is not None and self._may_decode() else None

    def _handle_frame(self, opcode: int, payload: bytes) -> None:
        """Handle one frame; each counts against the client's rate, whatever its opcode. Raises FrameError."""
        if opcode == framing.CLOSE:
            self._closed_by_client(payload)
        elif self.closed_with is not None:  # only the client's close frame matters now
            if not self.is_within_rate():
                self._stop_reading()
        elif opcode == framing.TEXT:
            self.on_text(payload)
        else:
            self.count_frame()
            if opcode == framing.PING:
                self.send(framing.frame(framing.PONG, payload))

    # -- sending and closing

    def keepalive_frames(self, *, with_heartbeat: bool) -> bytes:
        """Return a ping, which the client's library answers, behind a heartbeat."""
        self.heard = False
        return _HEARTBEAT_AND_PING if with_heartbeat else framing.PING_FRAME

    def close_bytes(self, code: int) -> bytes:
        """Return the close frame."""
        return protocol.close_frame(code)

    def close(self, code: int) -> None:
        """Send a close frame with this code; read on for the client's unless the client broke a rule."""
        super().close(code)
        if code in _VIOLATIONS:
            self._stop_reading()
        else:
            self.update_reading()  # the client's close frame is awaited, even if the client was slow

    def _closed_by_client(self, payload: bytes) -> None:
        """Answer the client's close frame, unless it is itself the answer to ours, and close the transport."""
        code = framing.close_code(payload)
        if self.closed_with is None:
            self.write(framing.frame(framing.CLOSE, payload[:2]))
            self.closed_with = code
            self.ready = False
            self.listener.unsubscribe_all(self)
            asyncio.get_running_loop().call_later(client_connection.CLOSE_GRACE, self.transport.abort)
        self._decoder = None
        self.transport.close()

    def _stop_reading(self) -> None:
        """Decode nothing more, not even what has arrived. Ending our half lets the client's library finish at once."""
        self._decoder = None
        self.update_reading()
        with contextlib.suppress(RuntimeError):  # the transport has closed
            self.transport.write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        """Drop what was not decoded."""
        if self._next_turn is not None:
            self._next_turn.cancel()
        self._decoder = None
        super().connection_lost(exc)
