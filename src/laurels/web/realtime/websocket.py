"""The live WebSocket: the protocol laurels.v1 over one connection.

`LiveSession` decides what a frame means; here its effects are carried out: frames sent, channels subscribed to, tokens
verified, actions submitted. One protocol object and its session are all that a socket is: no task, no buffers.
"""

from __future__ import annotations

import asyncio
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
from .framed_connection import FramedConnection
from .frames import ClientFrame
from .handshake import bad_origin
from .submitters import ServerSubmitter, Submitter, UserSubmitter

log = structlog.get_logger(__name__)

_now = time.monotonic
"""The clock of the loop, whose timers the session sets."""
_CLOSE_CODES = {Code.BANNED: Close.NOT_ALLOWED, Code.ORIGIN_NOT_ALLOWED: Close.NOT_ALLOWED}
"""Refusals of a token that close the socket."""
_CLOSE_CODES_OF_ACTIONS = {
    Code.BANNED: Close.NOT_ALLOWED,
    Code.API_KEY_INVALID: Close.TOKEN_ENDED,
    Code.FORBIDDEN: Close.NOT_ALLOWED,
}
"""Refusals of an action that close the socket: its account or key is no longer what it was."""


class WebSocketConnection(FramedConnection):
    """One client's socket.

    `_verifying`: an external issuer's keys are being fetched for a token. Frames that arrive meanwhile wait, so that
    they are handled in order.
    """

    __slots__ = (
        "_context",
        "_origin_allowed",
        "_session",
        "_submits",
        "_submitter",
        "_timer",
        "_timer_at",
        "_verifying",
        "hub",
    )

    def __init__(self, context: LiveContext, address: str, *, origin_allowed: bool, must_authenticate: bool) -> None:
        super().__init__(context.hub, address)
        self.hub = context.hub
        self._context = context
        self._origin_allowed = origin_allowed
        self._session = LiveSession(_now(), must_authenticate=must_authenticate)
        self._submitter: Submitter | None = None
        self._submits: list[SubmitAction] = []
        self._verifying = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf

    def open(self, head: bytes) -> None:
        """Send the rest of the handshake and the first frame in one write."""
        self.write(head + _hello(self.hub.frames_per_second))
        self._set_timer()

    # -- what arrives

    def on_text(self, payload: bytes) -> None:
        """Decode one frame of the protocol and do what the session answers. Raises FrameError."""
        try:
            frame: protocol.ClientFrame = decode_body(payload, ClientFrame, "frame")  # type: ignore[arg-type]  # a union
        except LaurelsError as error:
            if error.code is Code.INVALID_JSON and not framing.is_utf8(payload):
                raise framing.FrameError(framing.NOT_UTF8) from error
            self._apply(self._session.receive_malformed(error, protocol.id_in(payload), _now()))
            return
        telemetry.FRAMES_IN.labels(frame.__struct_config__.tag).inc()
        self._apply(self._session.receive(frame, _now()))

    def on_frames_handled(self) -> None:
        """Submit the actions that arrived together, and follow the session's deadline."""
        if self._submits:
            self._submit_all()
        self._set_timer()

    def count_frame(self) -> None:
        """Count a frame against the client's rate; beyond the rate, close."""
        self._apply(self._session.count_frame(_now()))

    def is_within_rate(self) -> bool:
        """Count a frame, also of a session that has ended; return whether it is within the client's rate."""
        return self._session.count(_now())

    def waits(self) -> bool:
        """Return whether a token is being verified."""
        return self._verifying

    def _apply(self, effects: list[Effect]) -> None:
        """Carry out what the session decided, in order."""
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

    def on_channel_gone(self, channel: str, error: LaurelsError, id_: int | None) -> None:
        """Unsubscribe from a channel that does not exist, and say so."""
        self.hub.unsubscribe(self, channel)
        self._apply(self._session.channel_gone(channel, error, id_))

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run `work` in a task; a failure closes this connection and ends nothing else."""
        self.hub.spawn(self._guarded(work), name)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as failure:  # a bug closes this connection and harms no other
            log.error("unexpected failure", exc_info=failure)
            self.close(Close.FAILED)

    # -- authenticating

    def _verify(self, wanted: VerifyToken) -> None:
        try:
            if not self._origin_allowed:
                raise bad_origin()
            caller = self._context.authenticator.caller_of_token(wanted.token)
        except LaurelsError as error:
            self._not_verified(error, wanted)
            return
        if caller is not None:
            self.authenticate_as(caller, wanted.token, wanted.id)
        else:
            self._verifying = True
            self._start(self._verify_external(wanted), "live-verify-external")

    async def _verify_external(self, wanted: VerifyToken) -> None:
        try:
            caller = await self._context.authenticator.external_user_of(wanted.token)
            self.authenticate_as(caller, wanted.token, wanted.id)
        except LaurelsError as error:
            self._not_verified(error, wanted)
        finally:
            self._verifying = False
        self.decode_soon()

    def _not_verified(self, error: LaurelsError, wanted: VerifyToken) -> None:
        self._apply(self._session.not_verified(error, wanted.id, _CLOSE_CODES.get(error.code)))

    def authenticate_as(self, caller: Principal | ApiKey, token: str, id_: int | None) -> None:
        """Let the socket speak for the token's owner from now on, unless it speaks for another.

        A connection that ended while its token was verified acquires nothing: nothing would release it.
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
        """Count the socket against the limit of its user; return whether there was room."""
        try:
            self.hub.connection_limits.acquire_user(caller.user_id)
        except LaurelsError as full:
            self._apply(self._session.not_verified(full, id_, Close.TOO_MANY_SOCKETS))
            return False
        self.user_id, self.username = caller.user_id, caller.username
        return True

    # -- submitting actions

    def _submit_all(self) -> None:
        """Submit the actions that arrived together, so that they are committed together."""
        submits, self._submits = self._submits, []
        submitter = self._submitter
        assert submitter is not None, "the session refuses actions before a token"
        accepted: list[SubmitAction] = []
        prepared: list[Any] = []
        for submit in submits:
            try:
                prepared.append(submitter.prepare(submit.action, submit.user))  # type: ignore[arg-type]  # as decoded
                accepted.append(submit)
            except LaurelsError as refusal:
                self._refuse(submit, refusal)
        if accepted:
            self._start(self._complete(submitter, accepted, prepared), "live-complete")

    def _refuse(self, submit: SubmitAction, refusal: LaurelsError) -> None:
        self._session.answered()
        self.send(_answer(submit, refusal, ""))
        self._apply(self._session.count_frame(_now()))
        if refusal.code in _CLOSE_CODES_OF_ACTIONS:
            self.close(_CLOSE_CODES_OF_ACTIONS[refusal.code])

    async def _complete(self, submitter: Submitter, accepted: list[SubmitAction], prepared: list[Any]) -> None:
        results = await submitter.complete(prepared)
        board = self._context.actions.catalogue.default_board.slug
        self._session.answered(len(accepted))
        self.send(b"".join(_answer(submit, result, board) for submit, result in zip(accepted, results, strict=True)))
        if isinstance(submitter, UserSubmitter) and any(_is_ban(result) for result in results):
            self.close(Close.NOT_ALLOWED)
        elif self._session.draining and not self._session.unanswered:
            self.close(Close.DRAINING)

    # -- the end

    def close_bytes(self, code: int) -> bytes:
        """End the session, and return the close frame."""
        self._session.closed = True
        return super().close_bytes(code)

    def drain(self, retry_ms: int) -> None:
        """Tell the client to come back later; answer what was submitted, read nothing more, and close."""
        self.send(framing.text_frame(protocol.encode(protocol.Drain(retry_ms=retry_ms))))
        self._session.draining = True
        if self._session.unanswered:
            asyncio.get_running_loop().call_later(client_connection.CLOSE_GRACE, self.close, Close.DRAINING)
        else:
            self.close(Close.DRAINING)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the session's timer and leave the hub."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

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


def _answer(submit: SubmitAction, result: Result, board: str) -> bytes:
    """Return the frame that answers an action: its result, or an error when the frame did not hold an action."""
    if isinstance(result, LaurelsError) and result.code is Code.INVALID_REQUEST:
        return framing.text_frame(protocol.encode(protocol.error_frame(result, submit.id)))
    assert isinstance(submit.action, CompleteAction)
    return protocol.result_frame(submit.id, encode(batch_item(submit.action.action_identifier, result, board)))


def _is_ban(result: Result) -> bool:
    return isinstance(result, LaurelsError) and result.code is Code.BANNED


def _hello(frames_per_second: int) -> bytes:
    return framing.text_frame(protocol.encode(protocol.Hello(frames_per_second=frames_per_second)))
