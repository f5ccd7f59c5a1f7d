"""The frames of the live protocol that carry structs of the HTTP API, and the union of all."""

from __future__ import annotations

from ...app.receipts import BatchItem
from ...live import protocol
from ..inputs import CompleteAction, UserOf


class CompleteFrame(protocol.Complete, tag="complete", frozen=True, kw_only=True):
    """Complete an action. `user`: on whose behalf, required from a server's socket and refused from a user's."""

    action: CompleteAction
    user: UserOf | None = None


class ResultFrame(BatchItem, tag_field="type", tag="result", frozen=True, omit_defaults=True, kw_only=True):
    """The result of `complete`: an item of a batch's reply, with the id of the frame."""

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
