"""What a user may ask and do about the own data."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ....ledger.accounts.erasure import Counter, KeptSession, PersonalData
from .boards import PlaceOnBoard
from .fields import AnyUsername, ListQuery, Request


class LedgerQuery(ListQuery, frozen=True):
    """Newest first."""


class LedgerRow(msgspec.Struct, frozen=True):
    """One row of the ledger. `points` is what it counts now: nothing while it is held or when it was rejected.

    `kind`: completion, reversal (of the row `reverses` names) or adjustment (by hand). `reason`, in plain words, is
    null where the row is worth what its action type is. `reversed_by` names the row that undid this one.
    """

    action_id: int
    kind: str
    action_type: str | None
    action_identifier: str | None
    status: str
    points: int
    reason: str | None
    reverses: int | None
    reversed_by: int | None
    metadata: dict[str, Any] | None
    completed_at: datetime
    created_at: datetime


class MyLedger(msgspec.Struct, frozen=True):
    """`sum` is that of the points of all rows, `score` the one on the default board: the same where that board sums.

    `next` is the cursor of the page with older rows; null: there are none.
    """

    score: int
    sum: int
    rows: list[LedgerRow]
    next: str | None


class MyData(msgspec.Struct, frozen=True):
    """Everything that is kept of a user; `sessions` are the newest 1,000. Sent as it is read, newest rows first."""

    user: PersonalData
    places: list[PlaceOnBoard]
    counters: list[Counter]
    sessions: list[KeptSession]
    ledger: list[LedgerRow]


class EraseMe(Request, frozen=True):
    """Both are asked for so that neither a slip nor a stolen token erases anybody.

    `password` is needed unless the account has none, because its tokens come from another issuer.
    """

    username: AnyUsername
    password: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
