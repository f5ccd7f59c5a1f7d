"""One client's conversation: decoded frames in, effects out. No sockets, no clock.

Time is passed in (seconds on any clock that never goes back). The caller carries out the effects in order: it owns the
transport, the tokens and the ledger. The same session serves every transport; an SSE client just never sends a frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from ..domain.errors import Code, LaurelsError
from . import protocol
from .protocol import Close


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """The authenticated user. `ends_at`: when the token expires by the session's clock; `expires_at`: as it says."""

    user_id: int
    username: str
    expires_at: int
    ends_at: float


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """The authenticated server, by its API key. It completes actions of any user and has no ranks itself."""

    key_id: int
    name: str

    ends_at = math.inf


@dataclass(frozen=True, slots=True)
class Send:
    """Send this frame."""

    frame: protocol.ServerFrame


@dataclass(frozen=True, slots=True)
class VerifyToken:
    """Verify this token, then call `verified` or `not_verified`."""

    token: str
    id: int | None


@dataclass(frozen=True, slots=True)
class StartSubscription:
    """Send what leads from `since` to the current version, then every change. `confirm`: send `subscribed` first."""

    channel: str
    size: int | None
    since: str | None
    id: int | None
    confirm: bool


@dataclass(frozen=True, slots=True)
class StopSubscription:
    """Send nothing more of this channel."""

    channel: str


@dataclass(frozen=True, slots=True)
class SubmitAction:
    """Complete this action, on behalf of `user` when a server sent it; then call `answered`."""

    id: int
    action: object
    user: object = None


@dataclass(frozen=True, slots=True)
class CloseConnection:
    """Close with this code."""

    code: Close


Effect = Send | VerifyToken | StartSubscription | StopSubscription | SubmitAction | CloseConnection


class LiveSession:
    """`must_authenticate`: the client announced it when it connected, at `now`."""

    __slots__ = (
        "_authenticate_by",
        "_frames_tat",
        "_notice_at",
        "closed",
        "draining",
        "identity",
        "subscriptions",
        "unanswered",
    )

    def __init__(self, now: float, *, must_authenticate: bool = False) -> None:
        self.identity: UserIdentity | ServerIdentity | None = None
        self.subscriptions: dict[str, int | None] = {}
        self.unanswered = 0
        self.closed = False
        self.draining = False
        self._authenticate_by = now + protocol.AUTHENTICATE_SECONDS if must_authenticate else math.inf
        self._notice_at = math.inf
        self._frames_tat = now

    @property
    def deadline(self) -> float:
        """When `tick` is due; infinite without a deadline."""
        ends_at = math.inf if self.identity is None else self.identity.ends_at
        return math.inf if self.closed else min(self._authenticate_by, self._notice_at, ends_at)

    def receive(self, frame: protocol.ClientFrame, now: float) -> list[Effect]:
        """Handle one frame. Once `draining`, only actions accepted before are answered."""
        if self.closed:
            return []
        if self.draining:
            return self.count_frame(now)
        if isinstance(frame, protocol.Complete):
            return self._complete(frame, now)
        return self.count_frame(now) or self._answer(frame)

    def receive_malformed(self, error: LaurelsError, id_: int | None, now: float) -> list[Effect]:
        """Handle a message that is not a frame of the protocol."""
        if self.closed:
            return []
        return self.count_frame(now) or [Send(protocol.error_frame(error, id_))]

    def count_frame(self, now: float) -> list[Effect]:
        """Count a frame against the client's rate; close beyond it."""
        return [] if self.count(now) or self.closed else self._close(Close.TOO_MANY_FRAMES)

    def count(self, now: float) -> bool:
        """Count a frame, also of a session that has ended; return whether it is within the client's rate."""
        step = 1 / protocol.FRAMES_PER_SECOND_IN
        self._frames_tat = max(self._frames_tat, now) + step
        return self._frames_tat - now <= protocol.FRAME_BURST * step + 1e-9

    def verified(self, identity: UserIdentity | ServerIdentity, id_: int | None, now: float) -> list[Effect]:
        """Take the identity from a valid token of `VerifyToken`."""
        if self.closed:
            return []
        if self.identity is not None and _who(self.identity) != _who(identity):
            kind, _, name = _who(self.identity)
            refusal = LaurelsError(Code.FORBIDDEN, f"This socket is authenticated as the {kind} {name}. Open another.")
            return [Send(protocol.error_frame(refusal, id_))]
        self.identity = identity
        self._authenticate_by = math.inf
        if isinstance(identity, ServerIdentity):
            return [Send(protocol.Authenticated(id=protocol.given(id_), key=identity.name))]
        left = identity.ends_at - now
        self._notice_at = identity.ends_at - min(protocol.EXPIRY_NOTICE, left / 4)
        expires_at = _instant(identity.expires_at)
        return [Send(protocol.Authenticated(id=protocol.given(id_), username=identity.username, expires_at=expires_at))]

    def not_verified(self, error: LaurelsError, id_: int | None, close: Close | None = None) -> list[Effect]:
        """Report an invalid token of `VerifyToken`; the session keeps its identity, or is closed with `close`."""
        if self.closed:
            return []
        effects: list[Effect] = [Send(protocol.error_frame(error, id_))]
        return effects if close is None else effects + self._close(close)

    def answered(self, count: int = 1) -> None:
        """Note that so many actions have their results."""
        self.unanswered -= count

    def channel_gone(self, channel: str, error: LaurelsError, id_: int | None = None) -> list[Effect]:
        """End a subscription whose board does not exist, or no longer."""
        if self.closed or channel not in self.subscriptions:
            return []
        del self.subscriptions[channel]
        return [Send(protocol.error_frame(error, id_, channel))]

    def tick(self, now: float) -> list[Effect]:
        """Return what is due by now: the notice that the token expires, or the end."""
        if self.closed:
            return []
        ends_at = math.inf if self.identity is None else self.identity.ends_at
        if now >= min(ends_at, self._authenticate_by):
            return self._close(Close.TOKEN_ENDED)
        if now >= self._notice_at and isinstance(self.identity, UserIdentity):
            self._notice_at = math.inf
            seconds = max(0, round(ends_at - now))
            return [
                Send(protocol.TokenExpiring(expires_at=_instant(self.identity.expires_at), seconds=seconds)),
            ]
        return []

    def _complete(self, frame: protocol.Complete, now: float) -> list[Effect]:
        refusal = self._refusal_of(frame)
        if refusal is not None:
            return self.count_frame(now) or [Send(protocol.error_frame(refusal, frame.id))]
        self.unanswered += 1
        return [SubmitAction(frame.id, frame.action, frame.user)]

    def _refusal_of(self, frame: protocol.Complete) -> LaurelsError | None:
        if self.identity is None:
            return _no_token()
        if isinstance(self.identity, ServerIdentity) and frame.user is None:
            return LaurelsError(Code.INVALID_REQUEST, "A server must say on whose behalf it completes.", path="$.user")
        if isinstance(self.identity, UserIdentity) and frame.user is not None:
            return LaurelsError(Code.FORBIDDEN, "Only a server with an API key completes for others.", path="$.user")
        if self.unanswered >= protocol.MAX_UNANSWERED:
            detail = f"{protocol.MAX_UNANSWERED} actions wait for their results. Wait for one."
            return LaurelsError(Code.TOO_MANY_UNANSWERED, detail)
        return None

    def _answer(self, frame: protocol.ClientFrame) -> list[Effect]:
        match frame:
            case protocol.Authenticate():
                return [VerifyToken(frame.token, frame.id)]
            case protocol.Subscribe():
                return self._subscribe(frame)
            case protocol.Unsubscribe():
                return self._unsubscribe(frame)
            case protocol.Resync():
                return self._resync(frame)
            case protocol.Ping():
                return [Send(protocol.Pong(id=protocol.given(frame.id)))]
        raise AssertionError(f"not a frame of a client: {frame!r}")

    def _subscribe(self, frame: protocol.Subscribe) -> list[Effect]:
        try:
            self._check(frame)
        except LaurelsError as refusal:
            return [Send(protocol.error_frame(refusal, frame.id, frame.channel))]
        size = (frame.size or protocol.DEFAULT_SIZE) if frame.channel.startswith(protocol.BOARD) else None
        stop: list[Effect] = [StopSubscription(frame.channel)] if frame.channel in self.subscriptions else []
        self.subscriptions[frame.channel] = size
        return [*stop, StartSubscription(frame.channel, size, frame.since, frame.id, confirm=True)]

    def _check(self, frame: protocol.Subscribe) -> None:
        if not frame.channel.startswith(protocol.BOARD):
            for name in ("size", "since"):
                if getattr(frame, name) is not None:
                    raise LaurelsError(Code.INVALID_REQUEST, f"Only boards have a {name}.", path=f"$.{name}")
        if frame.channel == protocol.ME and self.identity is None:
            raise _no_token()
        if frame.channel == protocol.ME and isinstance(self.identity, ServerIdentity):
            raise LaurelsError(Code.FORBIDDEN, "A server has no ranks of its own.")
        if frame.channel not in self.subscriptions and len(self.subscriptions) >= protocol.MAX_SUBSCRIPTIONS:
            raise LaurelsError(
                Code.TOO_MANY_SUBSCRIPTIONS,
                f"A socket has at most {protocol.MAX_SUBSCRIPTIONS} subscriptions. Unsubscribe from one first.",
            )

    def _unsubscribe(self, frame: protocol.Unsubscribe) -> list[Effect]:
        known = frame.channel in self.subscriptions
        self.subscriptions.pop(frame.channel, None)
        confirmation = Send(protocol.Unsubscribed(id=protocol.given(frame.id), channel=frame.channel))
        return [StopSubscription(frame.channel), confirmation] if known else [confirmation]

    def _resync(self, frame: protocol.Resync) -> list[Effect]:
        if frame.channel not in self.subscriptions or frame.channel.startswith(protocol.ACTIVITY):
            refusal = LaurelsError(Code.INVALID_REQUEST, "This socket has no subscription to it.", path="$.channel")
            return [Send(protocol.error_frame(refusal, frame.id, frame.channel))]
        size = self.subscriptions[frame.channel]
        return [StopSubscription(frame.channel), StartSubscription(frame.channel, size, None, frame.id, confirm=False)]

    def _close(self, code: Close) -> list[Effect]:
        self.closed = True
        return [CloseConnection(code)]


def _who(identity: UserIdentity | ServerIdentity) -> tuple[str, int, str]:
    if isinstance(identity, ServerIdentity):
        return "server", identity.key_id, identity.name
    return "user", identity.user_id, identity.username


def _no_token() -> LaurelsError:
    return LaurelsError(Code.TOKEN_MISSING, "Send authenticate with an access token or an API key first.")


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
