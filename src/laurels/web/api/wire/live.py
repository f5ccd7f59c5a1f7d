"""What live sockets and streams are asked, and the frames whose members are the HTTP API's own."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ....live import protocol
from .actions import BatchItem, CompleteAction
from .fields import Request
from .server import UserOf


class LiveQuery(Request, frozen=True):
    authenticate: Annotated[
        bool, Meta(description="A token will come: without a valid one within 5 seconds the socket is closed")
    ] = False


class EventsQuery(Request, frozen=True):
    """`channel` left out: the default board. `since`: as Last-Event-ID, which wins."""

    channel: protocol.Channel | None = None
    size: protocol.Size | None = None
    since: protocol.Version | None = None


class CompleteFrame(protocol.Complete, tag="complete", frozen=True, kw_only=True):
    """`user`: on whose behalf, from a socket that speaks for a server; refused from one that speaks for a user."""

    action: CompleteAction
    user: UserOf | None = None


class ResultFrame(BatchItem, tag_field="type", tag="result", frozen=True, omit_defaults=True, kw_only=True):
    """The answer to `complete`: an item of a batch's reply, with the id of the frame."""

    id: protocol.Id


ClientFrame = (
    protocol.Authenticate | protocol.Subscribe | protocol.Unsubscribe | protocol.Resync | CompleteFrame | protocol.Ping
)

SERVER_FRAMES: tuple[type, ...] = (
    protocol.Hello,
    protocol.Authenticated,
    protocol.TokenExpiring,
    protocol.Subscribed,
    protocol.Unsubscribed,
    protocol.BoardFrame,
    protocol.Delta,
    protocol.MeFrame,
    protocol.Activity,
    ResultFrame,
    protocol.Error,
    protocol.Heartbeat,
    protocol.Drain,
    protocol.Pong,
)
