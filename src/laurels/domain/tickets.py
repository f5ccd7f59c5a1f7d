"""Tickets: who was let start what, and when. Signing and reading them is the edge's business."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Grant(msgspec.Struct, frozen=True, gc=False):
    """What a genuine ticket says. Instants are of the ledger's clock; `nonce` is used for one award."""

    user_id: int
    action_type: str
    nonce: bytes
    started_at: datetime
    not_before: datetime
    expires_at: datetime


class Ticket(msgspec.Struct, frozen=True, gc=False):
    """A ticket as it was presented. `grant` is None when we did not sign it."""

    text: str
    grant: Grant | None
