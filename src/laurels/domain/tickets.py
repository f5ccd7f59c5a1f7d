"""Tickets: who started which type of action, and when. `web/auth/ticket_signer.py` signs and reads them."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Grant(msgspec.Struct, frozen=True, gc=False):
    """The content of a genuine ticket. Instants are of the ledger's clock; a `nonce` is good for one award."""

    user_id: int
    action_type: str
    nonce: bytes
    started_at: datetime
    not_before: datetime
    expires_at: datetime


class Ticket(msgspec.Struct, frozen=True, gc=False):
    """A ticket as it was presented. `grant` is None when its signature is not ours."""

    text: str
    grant: Grant | None
