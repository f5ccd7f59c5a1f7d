"""Live boards: the WebSocket and the stream of events."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ...domain.errors import Code
from ...live import protocol
from ..fields import Request
from ..pipeline.route import Route
from ..realtime.sse import MEDIA_TYPE, events
from ..realtime.upgrade import live


class LiveQuery(Request, frozen=True):
    authenticate: Annotated[
        bool, Meta(description="A token will follow: without a valid one within 5 seconds the socket is closed")
    ] = False


class EventsQuery(Request, frozen=True):
    """`channel` defaults to the default board. `since` is the same as Last-Event-ID, which takes precedence."""

    channel: protocol.Channel | None = None
    size: protocol.Size | None = None
    since: protocol.Version | None = None


_TOKEN = (
    Code.TOKEN_INVALID,
    Code.TOKEN_EXPIRED,
    Code.BANNED,
    Code.ISSUER_UNAVAILABLE,
    Code.REGISTRATION_CLOSED,
)

_KEY = (Code.API_KEY_INVALID, Code.FORBIDDEN)

LIVE: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/live",
        handler=live,
        tag="Live",
        summary="Watch boards, your own places and activity live, and complete actions (WebSocket)",
        description=(
            "Upgrade to WebSocket with the subprotocol laurels.v1. The protocol is described in docs/protocol.md and, "
            "machine-readable, at /api/asyncapi.json. A token, or a server's API key, is sent as first message, or as "
            "a second subprotocol laurels.token.<token>, never in the address."
        ),
        params=LiveQuery,
        replies={101: None},
        problems=(
            Code.MALFORMED_REQUEST,
            Code.UPGRADE_REQUIRED,
            Code.TOO_MANY_SOCKETS,
            Code.ORIGIN_NOT_ALLOWED,
            *_TOKEN,
            *_KEY,
        ),
    ),
    Route(
        method="GET",
        path="/api/live/events",
        handler=events,
        tag="Live",
        summary="Watch one channel live as Server-Sent Events",
        description=(
            "The frames of the WebSocket as events: a whole board, then its changes. An event's id is the version of "
            "the board; send it back as Last-Event-ID to resume. The channel `me` needs an access token."
        ),
        access="viewer",
        params=EventsQuery,
        replies={200: None},
        media=MEDIA_TYPE,
        problems=(Code.BOARD_UNKNOWN, Code.TOKEN_MISSING, Code.TOO_MANY_SOCKETS),
    ),
)
