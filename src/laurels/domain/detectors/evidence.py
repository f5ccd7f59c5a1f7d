"""What a detector may look at, and what it may say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec

from ..actions import ActionType, Submission, UserFacts
from ..rules import Attempt
from .history import AddressActivity, TypeActivity, UserActivity


class Finding(msgspec.Struct, frozen=True):
    """Why an action is held: a stable code, and a sentence for whoever reviews it. The sender sees neither."""

    code: str
    detail: str


class Thresholds(msgspec.Struct, frozen=True, kw_only=True):
    """From when on something looks wrong. 0 turns a detector off.

    user_per_minute     actions of one user, unless more is usual for the type
    least_per_minute    never suspicious below this, however slow a type usually is
    usual_factor        so many times what is usual for the type
    address_per_minute  actions from one address, as this node sees them
    identical           the same metadata so often in a row, where metadata is worth points
    metronome           so many gaps of the same length in a row (at most GAPS)
    """

    user_per_minute: int = 300
    least_per_minute: int = 60
    usual_factor: int = 4
    address_per_minute: int = 10_000
    identical: int = 12
    metronome: int = 12


class Baseline(msgspec.Struct, frozen=True):
    """What three of four users of a type stay within in their busiest minute, learnt from the ledger."""

    per_minute: int
    points_per_minute: int


class Evidence(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One action that the rules let pass.

    submission  what was sent, and from which address
    attempt     the same as the rules saw it, with the user's progress in this type before it
    earned      what it would be worth
    trail       this user's latest actions as this node remembers them, this one included
    habit       those of this type
    crowd       what came from the same address within the minute, this one included; None: not known
    usual       of the type; None: too few users have done it to say
    last_at     action type name -> when the user last did it, for the types that `watch.sequence` names
    """

    submission: Submission
    kind: ActionType
    user: UserFacts
    attempt: Attempt
    earned: int
    thresholds: Thresholds = Thresholds()
    user_activity: UserActivity = UserActivity()
    type_activity: TypeActivity = TypeActivity()
    address_activity: AddressActivity | None = None
    baseline: Baseline | None = None
    last_at: dict[str, datetime | None] = {}


Detector = Callable[[Evidence], Finding | None]
