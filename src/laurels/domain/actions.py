"""Actions: submissions, what the ledger knows of them, and the facts that judging needs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

import msgspec

from .calendars import local_day
from .errors import Code, Refusal
from .rules import Check, Progress, ScoringRules, checks_for
from .standings import Standing
from .tickets import Ticket

RankState = Literal["exact", "rebuilding"]
Status = Literal["awarded", "held", "rejected"]
"""The state of a ledger row: it counts, waits for a review, or was found not to count."""


@dataclass(frozen=True, slots=True)
class ActionType:
    """A kind of action and its worth. A client never states the worth."""

    id: int
    name: str
    description: str
    base_score: int
    rules: ScoringRules
    is_active: bool
    checks: tuple[Check, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "checks", checks_for(self.rules))


def active_type(types: Mapping[str, ActionType], name: str) -> ActionType:
    """Return the type of this name. Raises Refusal ACTION_TYPE_UNKNOWN or ACTION_TYPE_INACTIVE."""
    kind = types.get(name)
    if kind is None:
        raise Refusal(Code.ACTION_TYPE_UNKNOWN, f"There is no action type {name!r}.")
    if not kind.is_active:
        raise Refusal(Code.ACTION_TYPE_INACTIVE, f"{name!r} is not active now.")
    return kind


class Submission(msgspec.Struct, frozen=True, gc=False):
    """One completion as a client claims it: facts, never points. `metadata` is JSON text.

    `address`, where it came from, and `by_server`, that an API key vouches for it, are not part of the fingerprint:
    a retry may come another way.
    """

    user_id: int
    action_type: str
    identifier: str
    metadata: str | None = None
    completed_at: datetime | None = None
    address: str | None = None
    by_server: bool = False
    ticket: Ticket | None = None

    def decoded(self) -> dict[str, Any] | None:
        """Return the metadata as rules read it."""
        return None if self.metadata is None else msgspec.json.decode(self.metadata)

    def fingerprint(self) -> int:
        """Return an int64 digest of the body: the same identifier with another digest is a conflict.

        64 bits suffice, because it compares two bodies of one user under one identifier.
        """
        body = f"{self.action_type}\0{self.metadata}\0{self.completed_at}"
        if self.ticket is not None:
            body += f"\0{self.ticket.text}"
        digest = hashlib.blake2b(body.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big", signed=True)


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """The columns of a ledger row that a receipt needs.

    `score_earned` counts only while the row is awarded: see `counted`. `reason` explains it in words.
    """

    action_id: int
    user_id: int
    action_type: str
    identifier: str
    fingerprint: int
    score_earned: int
    new_score: int
    completed_at: datetime
    batch_id: int
    status: Status = "awarded"
    reason: str | None = None

    @property
    def counted(self) -> int:
        return self.score_earned if self.status == "awarded" else 0


_NO_ACTION = 0
"""Ids of actions begin at 1."""


class Placement(msgspec.Struct, frozen=True, gc=False):
    """The place of an action's user in the default board.

    `rank` is exact at `seq`. `rank_state` is `rebuilding` while the index is not available: then a rank was counted in
    the ledger, or is None. All actions of a user in one batch share a placement; of several, `entered_by` is the one
    that brought the user into the top, and 0 stands for none.
    """

    rank: int | None
    previous_rank: int | None
    seq: int | None
    rank_state: RankState
    entered_by: int | None = None

    def entered(self, top: int, action_id: int) -> bool:
        """Return whether this action brought the user into the first `top` places."""
        return self.reaches(top) if self.entered_by is None else self.entered_by == action_id

    def reaches(self, top: int) -> bool:
        """Return whether this batch brought the user into the first `top` places."""
        if self.rank_state != "exact":
            return False  # the place before is not known
        was_in = self.previous_rank is not None and self.previous_rank <= top
        return self.rank is not None and self.rank <= top and not was_in


def present_placement(rank: int | None, seq: int | None, rank_state: RankState) -> Placement:
    """Return the placement of a user now, for an earlier action: where the user was before it is not known any more."""
    return Placement(rank, None, seq, rank_state, _NO_ACTION)


class UserFacts(msgspec.Struct, frozen=True, gc=False):
    """A user's row. `version` changes with everything that judging reads of the user."""

    id: int
    status: str
    current_score: int
    points_day: date | None = None
    points_today: int = 0
    version: int = 0

    def points_on(self, day: date) -> int:
        """Return the points earned on `day`, over all types."""
        return self.points_today if self.points_day == day else 0


@dataclass(slots=True)
class Facts:
    """Everything that judging one batch needs, as of one instant.

    zone       the default board's time zone; `day` is the calendar day of `now` there
    known      (user id, identifier) -> the action already in the ledger
    progress   (user id, action type id) -> counters
    standings  (window id, user id) -> standing
    type_counts  action type id -> awards to all users, for types whose rules read it
    claims     (action type id, value) pairs that are claimed
    used_tickets  presented nonces for which an action was awarded before
    """

    now: datetime
    batch_id: int
    action_ids: Sequence[int]
    users: dict[int, UserFacts]
    known: dict[tuple[int, str], Recorded] = field(default_factory=dict)
    progress: dict[tuple[int, int], Progress] = field(default_factory=dict)
    standings: dict[tuple[int, int], Standing] = field(default_factory=dict)
    type_counts: dict[int, int] = field(default_factory=dict)
    claims: set[tuple[int, str]] = field(default_factory=set)
    used_tickets: set[bytes] = field(default_factory=set)
    zone: str = "UTC"

    @property
    def day(self) -> date:
        return local_day(self.zone, self.now)
