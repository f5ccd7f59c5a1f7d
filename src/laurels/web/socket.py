"""The live WebSocket: the connection that a session and the hub work through.

One protocol object and its session are all that a socket is: no task, no buffers of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable

import msgspec
import structlog
from aiohttp import web

from .. import telemetry
from ..domain.actions import Submission
from ..domain.errors import Code, LaurelsError
from ..live import framing, protocol
from ..live import viewer as outgoing
from ..live.protocol import Close
from ..live.session import Effect, Follow, HangUp, Identity, Leave, Say, Session, Submit, Verify
from ..live.viewer import Viewer
from .auth import introduced_user, known_user
from .call import Call, encode
from .decode import decode_body
from .handlers.actions import batch_item, complete_each, submission_of
from .handshake import (
    Handed,
    bad_origin,
    check_origin,
    offered_protocols,
    origin_allowed,
    take_transport,
    websocket_key,
)
from .services import Services
from .tokens import LEEWAY, Principal
from .wire.actions import CompleteAction
from .wire.live import ClientFrame

log = structlog.get_logger(__name__)


class _WithId(msgspec.Struct):
    id: protocol.Id


_id_of = msgspec.json.Decoder(_WithId)


_HEAD = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: {accept}\r\nX-Request-ID: {request_id}\r\nServer: laurels\r\n"
)


async def live(call: Call) -> web.StreamResponse:
    """Shake hands and leave the transport to a `Connection`."""
    key = websocket_key(call)
    offered = offered_protocols(call)
    token = next((name for name in offered if name.startswith(protocol.TOKEN_SUBPROTOCOL)), None)
    principal = None
    if token is not None:
        check_origin(call)
        shown = token.removeprefix(protocol.TOKEN_SUBPROTOCOL)
        principal = known_user(call.services, shown) or await introduced_user(call.services, shown)
    transport, tail = take_transport(call)
    head = _HEAD.format(accept=framing.accept_key(key), request_id=call.request_id)
    if protocol.SUBPROTOCOL in offered:
        head += f"Sec-WebSocket-Protocol: {protocol.SUBPROTOCOL}\r\n"
    connection = Connection(call.services, call.address, origin_allowed=origin_allowed(call))
    transport.set_protocol(connection)
    connection.open(transport, f"{head}\r\n".encode(), principal, must_authenticate=call.params.authenticate)
    if tail:
        connection.data_received(tail)
    return Handed(status=101)


class Connection(Viewer):
    """One client: bytes to frames to the session, and what the session wants done."""

    __slots__ = ("_decoder", "_held", "_origin_allowed", "_services", "_session", "_submits", "_timer", "_timer_at")

    def __init__(self, services: Services, address: str, *, origin_allowed: bool) -> None:
        super().__init__(services.hub, address)
        self._services = services
        self._origin_allowed = origin_allowed
        self._decoder: framing.Decoder | None = framing.Decoder(protocol.MAX_INCOMING)
        self._submits: list[Submit] = []
        self._held: list[tuple[int, bytes]] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf

    @staticmethod
    def dress(kind: str, version: str, message: bytes) -> bytes:  # noqa: ARG004  a Dress
        return framing.text_frame(message)

    def open(
        self, transport: asyncio.Transport, head: bytes, principal: Principal | None, *, must_authenticate: bool
    ) -> None:
        """Take over: the rest of the handshake and the first frames leave in one write."""
        self._session = Session(_now(), must_authenticate=must_authenticate and principal is None)
        self.connection_made(transport)
        self.write(head + _hello(self.hub.frames_per_second))
        if principal is not None:
            self._speak_for(principal, None)
        self._set_timer()

    # -- what arrives

    def data_received(self, data: bytes) -> None:
        self.heard = True
        if self._decoder is None:
            return
        try:
            self._take_all(self._decoder.feed(data))
        except framing.FrameError as error:
            self._decoder = None
            self.dismiss(error.code)

    def _take_all(self, messages: list[tuple[int, bytes]]) -> None:
        """Raises FrameError."""
        for number, (opcode, payload) in enumerate(messages):
            if self._held is not None:
                self._held += messages[number:]
                break
            self._take(opcode, payload)
        if self._submits:
            self._submit_all()
        self._set_timer()

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == framing.CLOSE:
            self._closed_by_peer(payload)
        elif self.closed_with is not None:
            return
        elif opcode == framing.TEXT:
            self._message(payload)
        elif opcode == framing.PING:
            self.send(framing.frame(framing.PONG, payload))
            self._do(self._session.spend(_now()))

    def _message(self, payload: bytes) -> None:
        try:
            frame: protocol.ClientFrame = decode_body(payload, ClientFrame)  # type: ignore[arg-type]  # a union
        except LaurelsError as error:
            if error.code is Code.INVALID_JSON and not _is_utf8(payload):
                raise framing.FrameError(framing.NOT_UTF8) from error
            self._do(self._session.misread(error, _id_in(payload), _now()))
            return
        telemetry.FRAMES_IN.labels(frame.__struct_config__.tag).inc()
        self._do(self._session.take(frame, _now()))

    def _closed_by_peer(self, payload: bytes) -> None:
        """Answer, and be done; if it is the answer to our goodbye, just be done."""
        code = framing.close_code(payload)
        if self.closed_with is None:
            self.write(framing.frame(framing.CLOSE, payload[:2]))
            self.closed_with = code
            self.ready = False
            self.hub.forget(self)
            asyncio.get_running_loop().call_later(outgoing.CLOSE_GRACE, self.transport.abort)
        self._decoder = None
        self.transport.close()

    # -- what the session wants done

    def _do(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Say():
                    self.send(framing.text_frame(protocol.encode(effect.frame)))
                case Submit():
                    self._submits.append(effect)
                case Follow():
                    self.hub.follow(self, effect)
                case Leave():
                    self.hub.leave(self, effect.channel)
                case Verify():
                    self._verify(effect)
                case HangUp():
                    self.dismiss(effect.code)

    def _verify(self, wanted: Verify) -> None:
        try:
            if not self._origin_allowed:
                raise bad_origin()
            principal = known_user(self._services, wanted.token)
        except LaurelsError as error:
            self._do(self._session.not_verified(error, wanted.id, _CLOSING.get(error.code)))
            return
        if principal is not None:
            self._speak_for(principal, wanted.id)
        else:
            self._held = []
            self.transport.pause_reading()
            self.hub.start(self._introduce(wanted), "live-introduce")

    async def _introduce(self, wanted: Verify) -> None:
        """An outside issuer is asked; what the client has said meanwhile waits, so that the order stays."""
        try:
            self._speak_for(await introduced_user(self._services, wanted.token), wanted.id)
        except LaurelsError as error:
            self._do(self._session.not_verified(error, wanted.id, _CLOSING.get(error.code)))
        held, self._held = self._held or [], None
        with contextlib.suppress(RuntimeError):  # it has closed meanwhile
            self.transport.resume_reading()
        try:
            self._take_all(held)
        except framing.FrameError as error:
            self.dismiss(error.code)

    def _speak_for(self, principal: Principal, id_: int | None) -> None:
        if self.user_id is None:
            try:
                self.hub.seats.take_user(principal.user_id)
            except LaurelsError as full:
                self._do(self._session.not_verified(full, id_, Close.TOO_MANY_SOCKETS))
                return
            self.user_id, self.username = principal.user_id, principal.username
        ends_in = principal.expires_at + LEEWAY - time.time()
        identity = Identity(principal.user_id, principal.username, principal.expires_at, _now() + ends_in)
        self._do(self._session.verified(identity, id_, _now()))

    def dropped(self, channel: str, error: LaurelsError, id_: int | None) -> None:
        self.hub.leave(self, channel)
        self._do(self._session.dropped(channel, error, id_))

    def beat(self, *, with_heartbeat: bool) -> bytes:
        self.heard = False
        return _HEARTBEAT_AND_PING if with_heartbeat else framing.PING_FRAME

    def goodbye(self, code: int) -> bytes:
        self._session.closed = True
        return protocol.close_frame(code)

    def drain(self, retry_ms: int) -> None:
        """What was asked for is answered first; what comes after is not read."""
        self.send(framing.text_frame(protocol.encode(protocol.Drain(retry_ms=retry_ms))))
        self._session.draining = True
        if self._session.unanswered:
            asyncio.get_running_loop().call_later(outgoing.CLOSE_GRACE, self.dismiss, Close.DRAINING)
        else:
            self.dismiss(Close.DRAINING)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
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
        self._do(self._session.tick(_now()))
        self._set_timer()

    # -- completing

    def _submit_all(self) -> None:
        """What arrived together enters the ledger together."""
        submits, self._submits = self._submits, []
        assert self.user_id is not None, "the session refuses those without a token"
        taken: list[tuple[int, CompleteAction]] = []
        submissions: list[Submission] = []
        for submit in submits:
            action = submit.action
            assert isinstance(action, CompleteAction)
            try:
                self._spend()
                submissions.append(submission_of(self._services, self.user_id, self.address, action, "$.action"))
                taken.append((submit.id, action))
            except LaurelsError as refusal:
                self._refuse(submit.id, action, refusal)
        if taken:
            self.hub.start(self._complete(taken, submissions), "live-complete")

    def _spend(self) -> None:
        """Raises LaurelsError: BANNED, or RATE_LIMITED as over HTTP."""
        if self.user_id in self._services.directory.blocked:
            raise LaurelsError(Code.BANNED, "This account is banned.")
        assert self.user_id is not None
        allowance = self._services.limits.user.hit(self.user_id, time.monotonic(), 1)
        if allowance.refused:
            raise LaurelsError(
                Code.RATE_LIMITED,
                f"More than {allowance.limit} a minute ({self._services.limits.user.policy}).",
                retry_after=allowance.retry_after,
            )

    def _refuse(self, id_: int, action: CompleteAction, refusal: LaurelsError) -> None:
        self._session.answered()
        if refusal.code is Code.INVALID_REQUEST:
            self._do([Say(protocol.error_frame(refusal, id_))])
        else:
            self.send(protocol.result_frame(id_, encode(batch_item(action.action_identifier, refusal, ""))))
        self._do(self._session.spend(_now()))
        if refusal.code is Code.BANNED:
            self.dismiss(Close.NOT_ALLOWED)

    async def _complete(self, taken: list[tuple[int, CompleteAction]], submissions: list[Submission]) -> None:
        try:
            results = await complete_each(self._services, submissions)
        except Exception as failure:  # as the edge does: logged, said, and nobody else is harmed
            log.error("unforeseen failure", exc_info=failure)
            self.dismiss(Close.FAILED)
            return
        board = self._services.catalogue.default_board.slug
        answers = [
            protocol.result_frame(id_, encode(batch_item(action.action_identifier, result, board)))
            for (id_, action), result in zip(taken, results, strict=True)
        ]
        self._session.answered(len(answers))
        self.send(b"".join(answers))
        if any(isinstance(result, LaurelsError) and result.code is Code.BANNED for result in results):
            self.dismiss(Close.NOT_ALLOWED)
        elif self._session.draining and not self._session.unanswered:
            self.dismiss(Close.DRAINING)


_now: Callable[[], float] = lambda: asyncio.get_running_loop().time()  # noqa: E731  a name for the session's clock
_HEARTBEAT_AND_PING = protocol.HEARTBEAT_FRAME + framing.PING_FRAME
_CLOSING = {Code.BANNED: Close.NOT_ALLOWED, Code.ORIGIN_NOT_ALLOWED: Close.NOT_ALLOWED}


def _hello(frames_per_second: int) -> bytes:
    return framing.text_frame(protocol.encode(protocol.Hello(frames_per_second=frames_per_second)))


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def _id_in(payload: bytes) -> int | None:
    """The id of a frame that is wrong otherwise."""
    try:
        return int(_id_of.decode(payload).id)
    except (msgspec.DecodeError, RecursionError):
        return None
