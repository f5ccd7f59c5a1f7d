"""One action as the rules see it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import msgspec

from ..tickets import Ticket
from .document import ScoringRules
from .progress import Progress


class Attempt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Everything that a rule may read.

    now           the ledger's clock, in UTC; `day` is its calendar day in the default board's time zone
    zone          that time zone
    earlier       action type name -> how often the user has completed it, for `requires`
    type_count    awards of this type to all users, for `first`
    claimed       whether the value that `once_for_all` names is claimed
    by_server     a server sends it on behalf of the user; then it needs no ticket
    ticket        the presented ticket, and `ticket_used` whether it was used before
    """

    rules: ScoringRules
    base_score: int
    progress: Progress
    now: datetime
    day: date
    zone: str = "UTC"
    completed_at: datetime | None = None
    metadata: Mapping[str, Any] | None = None
    earlier: Mapping[str, int] = {}
    type_count: int = 0
    claimed: bool = False
    user_id: int = 0
    action_type: str = ""
    by_server: bool = False
    ticket: Ticket | None = None
    ticket_used: bool = False
