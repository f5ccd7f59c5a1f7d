"""The live WebSocket: the connection that a session and the hub work through.

One protocol object and its session are all that a socket is: no task, no buffers of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Coroutine
from functools import partial
from typing import Any

import structlog

from ... import telemetry
from ...app.receipts import batch_item
from ...domain.errors import Code, LaurelsError
from ...ledger.write.writer import Result
from ...live import client_connection, framing, protocol
from ...live.client_connection import ClientConnection
from ...live.protocol import Close
from ...live.session import (
    CloseConnection,
    Effect,
    LiveSession,
    Send,
    ServerIdentity,
    StartSubscription,
    StopSubscription,
    SubmitAction,
    UserIdentity,
    VerifyToken,
)
from ..auth.access_tokens import Principal
from ..auth.keyring import ApiKey
from ..context import LiveContext
from ..http.decode import decode_body
from ..http.responses import encode
from ..inputs import CompleteAction
from .frames import ClientFrame
from .handshake import bad_origin
from .submitters import ServerSubmitter, Submitter, UserSubmitter

log = structlog.get_logger(__name__)


class WebSocketConnection(ClientConnection):
    """One client: bytes to frames to the session, and what the session wants done.

    `_introducing`: an outside issuer is being asked about a token; `_next_turn`: frames that have arrived wait for the
    next turn of the loop. Frames are decoded in neither case, and nothing more is read.
    """

    __slots__ = (
        "_context",
        "_decoder",
        "_introducing",
        "_next_turn",
        "_origin_allowed",
        "_session",
        "_submits",
        "_submitter",
        "_timer",
        "_timer_at",
        "hub",
    )

    def __init__(self, context: LiveContext, address: str, *, origin_allowed: bool, must_authenticate: bool) -> None:
        super().__init__(context.hub, address)
        self.hub = context.hub
        self._context = context
        self._origin_allowed = origin_allowed
        self._decoder: framing.Decoder | None = framing.Decoder(protocol.MAX_INCOMING)
        self._session = LiveSession(_now(), must_authenticate=must_authenticate)
        self._submitter: Submitter | None = None
        self._submits: list[SubmitAction] = []
        self._introducing = False
        self._next_turn: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf

    @staticmethod
    def encode_frame(kind: str, version: str, message: bytes) -> bytes:  # noqa: ARG004  a Dress
        return framing.text_frame(message)

    def open(self, head: bytes) -> None:
        """Send the rest of the handshake and the first frame in one write."""
        self.write(head + _hello(self.hub.frames_per_second))
        self._set_timer()

    # -- what arrives

    def data_received(self, data: bytes) -> None:
        self.heard = True
        if self._decoder is None:
            return
        self._decoder.feed(data)
        if self._next_turn is None:
            self._decode()

    def accepts_input(self) -> bool:
        return self._next_turn is None and self._may_decode()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._decode_soon()

    def _may_decode(self) -> bool:
        return self._decoder is not None and not self._introducing and (self.ready or self.closed_with is not None)

    def _decode(self) -> None:
        """Handle FRAMES_PER_TURN of the frames that have arrived and leave the others to the next turn of the loop."""
        self._next_turn = None
        try:
            more = self._handle_frames()
        except framing.FrameError as error:
            self.close(error.code)
        except Exception as failure:  # as the edge does: logged, said, and nobody else is harmed
            log.error("unexpected failure", exc_info=failure)
            self.close(Close.FAILED)
        else:
            if more:
                self._decode_soon()
        self.update_reading()

    def _decode_soon(self) -> None:
        if self._next_turn is None and self._decoder is not None:
            self._next_turn = asyncio.get_running_loop().call_soon(self._decode)

    def _handle_frames(self) -> bool:
        """Return whether there may be more. Raises FrameError."""
        handled = 0
        while handled < FRAMES_PER_TURN and (frame := self._next_frame()) is not None:
            self._handle_message(*frame)
            handled += 1
        if self._submits:
            self._submit_all()
        self._set_timer()
        return handled == FRAMES_PER_TURN

    def _next_frame(self) -> tuple[int, bytes] | None:
        """Raises FrameError."""
        return self._decoder.next() if self._decoder is not None and self._may_decode() else None

    def _handle_message(self, opcode: int, payload: bytes) -> None:
        """Handle one frame; each counts against the client's rate, whatever its opcode. Raises FrameError."""
        if opcode == framing.CLOSE:
            self._closed_by_peer(payload)
        elif self.closed_with is not None:  # only the client's close frame matters now
            if not self._session.count(_now()):
                self._stop_reading()
        elif opcode == framing.TEXT:
            self._handle_text(payload)
        else:
            self._apply(self._session.count_frame(_now()))
            if opcode == framing.PING:
                self.send(framing.frame(framing.PONG, payload))

    def _handle_text(self, payload: bytes) -> None:
        try:
            frame: protocol.ClientFrame = decode_body(payload, ClientFrame, "frame")  # type: ignore[arg-type]  # a union
        except LaurelsError as error:
            if error.code is Code.INVALID_JSON and not framing.is_utf8(payload):
                raise framing.FrameError(framing.NOT_UTF8) from error
            self._apply(self._session.receive_malformed(error, protocol.id_in(payload), _now()))
            return
        telemetry.FRAMES_IN.labels(frame.__struct_config__.tag).inc()
        self._apply(self._session.receive(frame, _now()))

    def _closed_by_peer(self, payload: bytes) -> None:
        """Answer, and be done; if it is the answer to our goodbye, just be done."""
        code = framing.close_code(payload)
        if self.closed_with is None:
            self.write(framing.frame(framing.CLOSE, payload[:2]))
            self.closed_with = code
            self.ready = False
            self.hub.unsubscribe_all(self)
            asyncio.get_running_loop().call_later(client_connection.CLOSE_GRACE, self.transport.abort)
        self._decoder = None
        self.transport.close()

    # -- what the session wants done

    def _apply(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send():
                    self.send(framing.text_frame(protocol.encode(effect.frame)))
                case SubmitAction():
                    self._submits.append(effect)
                case StartSubscription():
                    self.hub.subscribe(self, effect)
                case StopSubscription():
                    self.hub.unsubscribe(self, effect.channel)
                case VerifyToken():
                    self._verify(effect)
                case CloseConnection():
                    self.close(effect.code)

    def _verify(self, wanted: VerifyToken) -> None:
        try:
            if not self._origin_allowed:
                raise bad_origin()
            caller = self._context.authenticator.caller_of_token(wanted.token)
        except LaurelsError as error:
            self._apply(self._session.not_verified(error, wanted.id, _CLOSE_CODES.get(error.code)))
            return
        if caller is not None:
            self.authenticate_as(caller, wanted.token, wanted.id)
        else:
            self._introducing = True
            self._start(self._verify_external(wanted), "live-introduce")

    async def _verify_external(self, wanted: VerifyToken) -> None:
        """Ask an outside issuer; frames that arrive meanwhile are not decoded before, so that the order stays."""
        try:
            self.authenticate_as(
                await self._context.authenticator.external_user_of(wanted.token), wanted.token, wanted.id
            )
        except LaurelsError as error:
            self._apply(self._session.not_verified(error, wanted.id, _CLOSE_CODES.get(error.code)))
        finally:
            self._introducing = False
        self._decode_soon()

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run `work` in a task; a failure closes this connection and ends nothing else."""
        self.hub.spawn(self._guarded(work), name)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as failure:  # as the edge does: logged, said, and nobody else is harmed
            log.error("unexpected failure", exc_info=failure)
            self.close(Close.FAILED)

    def authenticate_as(self, caller: Principal | ApiKey, token: str, id_: int | None) -> None:
        """Let the socket speak for the token's owner from now on, unless it speaks for another.

        A connection that ended while its token was looked at takes nothing: nobody would give it back.
        """
        if self.closed_with is not None:
            return
        identity: UserIdentity | ServerIdentity
        if isinstance(caller, ApiKey):
            identity = ServerIdentity(caller.id, caller.name)
            submitter: Submitter = ServerSubmitter(self._context, token)
        else:
            if self._submitter is None and not self._acquire_user(caller, id_):
                return
            ends_in = caller.ends_at - time.time()
            identity = UserIdentity(caller.user_id, caller.username, caller.expires_at, _now() + ends_in)
            submitter = UserSubmitter(self._context, caller.user_id, self.address)
        self._apply(self._session.verified(identity, id_, _now()))
        if self._session.identity == identity:
            self._submitter = submitter
            if isinstance(caller, Principal):
                self.token_ended = partial(self._context.revocations.ends, caller)
        self._set_timer()

    def _acquire_user(self, caller: Principal, id_: int | None) -> bool:
        try:
            self.hub.connection_limits.acquire_user(caller.user_id)
        except LaurelsError as full:
            self._apply(self._session.not_verified(full, id_, Close.TOO_MANY_SOCKETS))
            return False
        self.user_id, self.username = caller.user_id, caller.username
        return True

    def on_channel_gone(self, channel: str, error: LaurelsError, id_: int | None) -> None:
        self.hub.unsubscribe(self, channel)
        self._apply(self._session.channel_gone(channel, error, id_))

    def keepalive_frames(self, *, with_heartbeat: bool) -> bytes:
        self.heard = False
        return _HEARTBEAT_AND_PING if with_heartbeat else framing.PING_FRAME

    def close_bytes(self, code: int) -> bytes:
        self._session.closed = True
        return protocol.close_frame(code)

    def close(self, code: int) -> None:
        super().close(code)
        if code in _VIOLATIONS:
            self._stop_reading()
        else:
            self.update_reading()  # the client's close frame is awaited, also if it was behind

    def _stop_reading(self) -> None:
        """Decode nothing more, not even what has arrived. Ending our half lets the client's library finish at once."""
        self._decoder = None
        self.update_reading()
        with contextlib.suppress(RuntimeError):  # it has closed
            self.transport.write_eof()

    def drain(self, retry_ms: int) -> None:
        """What was asked for is answered first; what comes after is not read."""
        self.send(framing.text_frame(protocol.encode(protocol.Drain(retry_ms=retry_ms))))
        self._session.draining = True
        if self._session.unanswered:
            asyncio.get_running_loop().call_later(client_connection.CLOSE_GRACE, self.close, Close.DRAINING)
        else:
            self.close(Close.DRAINING)

    def connection_lost(self, exc: Exception | None) -> None:
        for handle in (self._timer, self._next_turn):
            if handle is not None:
                handle.cancel()
        self._decoder = None
        super().connection_lost(exc)

    # -- time

    def _set_timer(self) -> None:
        at = self._session.deadline
        if at == self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at, self._timer = at, None
        if at < math.inf:
            self._timer = asyncio.get_running_loop().call_at(at, self._on_time)

    def _on_time(self) -> None:
        self._timer_at = math.inf
        self._apply(self._session.tick(_now()))
        self._set_timer()

    # -- completing

    def _submit_all(self) -> None:
        """What arrived together enters the ledger together."""
        submits, self._submits = self._submits, []
        submitter = self._submitter
        assert submitter is not None, "the session refuses those without a token"
        taken: list[SubmitAction] = []
        prepared: list[Any] = []
        for submit in submits:
            try:
                prepared.append(submitter.prepare(submit.action, submit.user))  # type: ignore[arg-type]  # of the wire
                taken.append(submit)
            except LaurelsError as refusal:
                self._refuse(submit, refusal)
        if taken:
            self._start(self._complete(submitter, taken, prepared), "live-complete")

    def _refuse(self, submit: SubmitAction, refusal: LaurelsError) -> None:
        self._session.answered()
        self.send(_answer(submit, refusal, ""))
        self._apply(self._session.count_frame(_now()))
        if refusal.code in _CLOSE_CODES_LATER:
            self.close(_CLOSE_CODES_LATER[refusal.code])

    async def _complete(self, submitter: Submitter, taken: list[SubmitAction], prepared: list[Any]) -> None:
        results = await submitter.complete(prepared)
        board = self._context.actions.catalogue.default_board.slug
        self._session.answered(len(taken))
        self.send(b"".join(_answer(submit, result, board) for submit, result in zip(taken, results, strict=True)))
        if isinstance(submitter, UserSubmitter) and any(_is_ban(result) for result in results):
            self.close(Close.NOT_ALLOWED)
        elif self._session.draining and not self._session.unanswered:
            self.close(Close.DRAINING)


_now = time.monotonic
"""The clock of the loop, whose timers the session sets."""
_HEARTBEAT_AND_PING = protocol.HEARTBEAT_FRAME + framing.PING_FRAME
FRAMES_PER_TURN = 32
"""Frames of one client that are handled in one turn of the loop."""
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
_CLOSE_CODES = {Code.BANNED: Close.NOT_ALLOWED, Code.ORIGIN_NOT_ALLOWED: Close.NOT_ALLOWED}
_CLOSE_CODES_LATER = {
    Code.BANNED: Close.NOT_ALLOWED,
    Code.API_KEY_INVALID: Close.TOKEN_ENDED,
    Code.FORBIDDEN: Close.NOT_ALLOWED,
}
"""What ends a socket that spoke well so far: the account or the key is no longer what it was."""


def _answer(submit: SubmitAction, result: Result, board: str) -> bytes:
    """A result; but an error where what was sent is no action at all."""
    if isinstance(result, LaurelsError) and result.code is Code.INVALID_REQUEST:
        return framing.text_frame(protocol.encode(protocol.error_frame(result, submit.id)))
    assert isinstance(submit.action, CompleteAction)
    return protocol.result_frame(submit.id, encode(batch_item(submit.action.action_identifier, result, board)))


def _is_ban(result: Result) -> bool:
    return isinstance(result, LaurelsError) and result.code is Code.BANNED


def _hello(frames_per_second: int) -> bytes:
    return framing.text_frame(protocol.encode(protocol.Hello(frames_per_second=frames_per_second)))
