"""The live protocol of docs/protocol.md: frames and close codes. No sockets, no clock.

Every frame is a JSON object with a `type`. Frames that thousands of clients get (`board`, `delta`, `heartbeat`) are
assembled from encoded bytes; the structs below document those too, and the AsyncAPI document is generated from them.
"""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ..domain.errors import Code, LaurelsError
from ..ranking.index import MAX_TOP
from ..ranking.scoreboards import Scoreboard, ScoreRow
from . import framing

VERSION = 1
SUBPROTOCOL = "laurels.v1"
TOKEN_SUBPROTOCOL = "laurels.token."  # noqa: S105  a prefix, not a secret

HEARTBEAT_SECONDS = 25
"""Scripts in a page can't see WebSocket pings; heartbeats tell them that the connection lives."""
AUTHENTICATE_SECONDS = 5.0
"""Time to authenticate for a client that announced it when it connected."""
EXPIRY_NOTICE = 60.0
"""Seconds before a token expires at which the client is warned; a quarter of the token's remaining life if less."""
MAX_INCOMING = 16 * 1024
MAX_SUBSCRIPTIONS = 16
MAX_UNANSWERED = 512
DEFAULT_SIZE = 10
SIZES = (10, 25, 50, MAX_TOP)
"""Sizes at which boards are sent. Each costs a read and an encoding per change, so clients can't choose any size."""
FRAME_BURST = 100
FRAMES_PER_SECOND_IN = 10.0
"""Frames a client may send, besides `complete`, which has its user's rate."""

ME = "me"
BOARD = "board:"
ACTIVITY = "activity:"


class Close(IntEnum):
    """Close codes. 4000-4099: reconnect. 4100-4199: reconnect after 30 s. 4401: reconnect with a fresh token.

    Other codes from 4400 to 4499: do not reconnect.
    """

    NORMAL = 1000
    FAILED = 1011
    DRAINING = 4000
    SLOW = 4008
    SILENT = 4009
    TOO_MANY_SOCKETS = 4110
    TOO_MANY_FRAMES = 4129
    TOKEN_ENDED = 4401
    NOT_ALLOWED = 4403


REASONS: dict[int, bytes] = {
    Close.NORMAL: b"",
    Close.FAILED: b"internal error",
    Close.DRAINING: b"this node is stopping",
    Close.SLOW: b"read too slowly",
    Close.SILENT: b"no answer to pings",
    Close.TOO_MANY_SOCKETS: b"this user has too many connections",
    Close.TOO_MANY_FRAMES: b"too many frames",
    Close.TOKEN_ENDED: b"a fresh token is needed",
    Close.NOT_ALLOWED: b"not allowed",
    framing.PROTOCOL_ERROR: b"malformed WebSocket frame",
    framing.NO_TEXT: b"text frames only",
    framing.NOT_UTF8: b"not UTF-8",
    framing.TOO_BIG: b"message too big",
}

Id = Annotated[int, Meta(ge=0, le=2**53 - 1, description="Chosen by the client; the answer carries it")]
Channel = Annotated[
    str,
    Meta(
        pattern=r"^(me|(board|activity):[a-z0-9][a-z0-9-]{0,62})$(?!\n)",
        max_length=80,
        examples=["board:points"],
        description="board:{slug}, activity:{slug} or me",
        extra={"expected": "a channel: board:{slug}, activity:{slug} or me"},
    ),
]
Size = Annotated[int, Meta(ge=1, le=MAX_TOP, description="Places wanted; sent is the next of 10, 25, 50, 100")]
SentSize = Annotated[int, Meta(ge=1, le=MAX_TOP, description="Places sent at most; a client that wants fewer cuts")]
Version = Annotated[str, Meta(min_length=1, max_length=64, examples=["w3Jk0bNq1xYz"])]


class ClientFrame(msgspec.Struct, tag_field="type", forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A frame of the client. Unknown members are refused: a misspelt one must not be silently ignored."""

    id: Id | None = None


class Authenticate(ClientFrame, tag="authenticate", frozen=True, kw_only=True):
    """`token`: a user's access token, or a server's API key with the scope actions:write."""

    token: Annotated[str, Meta(min_length=1, max_length=4096)]


class Subscribe(ClientFrame, tag="subscribe", frozen=True, kw_only=True):
    """`size` and `since` are for boards. `since`: the version that the client has at this size."""

    channel: Channel
    size: Size | None = None
    since: Version | None = None


class Unsubscribe(ClientFrame, tag="unsubscribe", frozen=True, kw_only=True):
    channel: Channel


class Resync(ClientFrame, tag="resync", frozen=True, kw_only=True):
    """Ask for a whole `board` or `me`, because the base of a delta is missing."""

    channel: Channel


class Complete(ClientFrame, tag="complete", frozen=True, kw_only=True):
    """Complete an action. `action`: the body of POST /api/actions/complete; `user`: on whose behalf a server does."""

    id: Id
    action: Any
    user: Any = None


class Ping(ClientFrame, tag="ping", frozen=True, kw_only=True):
    pass


class ServerFrame(msgspec.Struct, tag_field="type", frozen=True, kw_only=True):
    """A frame of the server. Members may be added within a version."""


class HelloLimits(msgspec.Struct, frozen=True):
    subscriptions: int = MAX_SUBSCRIPTIONS
    size: int = MAX_TOP
    sizes: tuple[int, ...] = SIZES
    frame_bytes: int = MAX_INCOMING
    unanswered: int = MAX_UNANSWERED


class Hello(ServerFrame, tag="hello", frozen=True, kw_only=True):
    version: int = VERSION
    heartbeat_seconds: int = HEARTBEAT_SECONDS
    frames_per_second: int
    limits: HelloLimits = HelloLimits()


class Authenticated(ServerFrame, tag="authenticated", frozen=True, kw_only=True):
    """A user has `username` and `expires_at`; a server has `key`, the name of its API key, which does not expire."""

    id: Id | UnsetType = UNSET
    username: str | UnsetType = UNSET
    expires_at: datetime | UnsetType = UNSET
    key: str | UnsetType = UNSET


class TokenExpiring(ServerFrame, tag="token_expiring", frozen=True, kw_only=True):
    expires_at: datetime
    seconds: int


class Subscribed(ServerFrame, tag="subscribed", frozen=True, kw_only=True):
    """`resumed` names the frame that follows: the whole `snapshot`, a `delta` from `since`, or none (`current`)."""

    id: Id | UnsetType = UNSET
    channel: Channel
    size: SentSize | UnsetType = UNSET
    resumed: Literal["snapshot", "delta", "current"]


class Unsubscribed(ServerFrame, tag="unsubscribed", frozen=True, kw_only=True):
    id: Id | UnsetType = UNSET
    channel: Channel


class BoardFrame(ServerFrame, Scoreboard, tag="board", tag_field="type", frozen=True, kw_only=True):
    """A snapshot: the members of GET /api/boards/{slug}, and the subscription that they belong to."""

    channel: Channel
    size: SentSize
    version: Version


class Delta(ServerFrame, tag="delta", frozen=True, kw_only=True):
    """From the version `base` to `version`. `rows` are [0-based position, row]; `length`: rows in all."""

    channel: Channel
    size: SentSize
    base: Version
    version: Version
    base_seq: int
    seq: int
    as_of: datetime
    rank_state: str
    total_users: int
    length: int
    rows: list[tuple[int, ScoreRow]]
    entered_top: list[str]


class MyPlace(msgspec.Struct, frozen=True):
    """`rank` and `score` null: not on this board, or unknown (`rank_state`)."""

    board: str
    rank: int | None
    score: int | None
    total_users: int
    epoch: str
    seq: int
    rank_state: str


class MeFrame(ServerFrame, tag="me", frozen=True, kw_only=True):
    username: str
    boards: list[MyPlace]


class ActivityItem(msgspec.Struct, frozen=True):
    username: str
    action_type: str
    score_earned: int
    completed_at: datetime


class Activity(ServerFrame, tag="activity", frozen=True, kw_only=True):
    """`skipped`: completions of the same half second that are not shown."""

    channel: Channel
    skipped: int
    completions: list[ActivityItem]


class Error(ServerFrame, tag="error", frozen=True, kw_only=True):
    id: Id | UnsetType = UNSET
    channel: str | UnsetType = UNSET
    code: Code
    detail: str
    path: str | UnsetType = UNSET
    retry_after: float | UnsetType = UNSET


class Heartbeat(ServerFrame, tag="heartbeat", frozen=True, kw_only=True):
    pass


class Drain(ServerFrame, tag="drain", frozen=True, kw_only=True):
    """The node is stopping; reconnect in `retry_ms`, drawn for each client."""

    retry_ms: int


class Pong(ServerFrame, tag="pong", frozen=True, kw_only=True):
    id: Id | UnsetType = UNSET


class _FrameId(msgspec.Struct):
    id: Id


encode = msgspec.json.Encoder().encode
_id_of = msgspec.json.Decoder(_FrameId).decode
HEARTBEAT = encode(Heartbeat())
HEARTBEAT_FRAME = framing.text_frame(HEARTBEAT)


def sent_size(wanted: int | None) -> int:
    """Return the size at which a board is sent to a client that wants so many places."""
    return next(size for size in SIZES if size >= (wanted or DEFAULT_SIZE))


def id_in(payload: bytes) -> int | None:
    """Return the id of a frame that is otherwise invalid, or None."""
    try:
        return int(_id_of(payload).id)
    except (msgspec.DecodeError, RecursionError):
        return None


def given(value: Any) -> Any:
    """Return the value, or UNSET for None: what the client left out is left out of the reply."""
    return UNSET if value is None else value


def error_frame(error: LaurelsError, id_: int | None = None, channel: str | None = None) -> Error:
    """Return the frame that reports a refusal."""
    return Error(
        id=given(id_),
        channel=given(channel),
        code=error.code,
        detail=error.detail,
        path=given(error.path),
        retry_after=given(error.retry_after),
    )


def result_frame(id_: int, item: bytes) -> bytes:
    """Return the reply to `complete`: an encoded item of a batch's reply (a JSON object), with the id before it."""
    return framing.text_frame(b'{"type":"result","id":%d,' % id_ + item[1:])


def close_frame(code: int) -> bytes:
    """Return the close frame of a code, with its reason."""
    return framing.close_frame(code, REASONS[code])
