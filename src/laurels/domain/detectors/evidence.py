"""The input of a detector, and its finding."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec

from ..actions import ActionType, Submission, UserFacts
from ..rules import Attempt
from .history import AddressActivity, TypeActivity, UserActivity


class Finding(msgspec.Struct, frozen=True):
    """The reason to hold an action: a stable code, and a sentence for its reviewer. The sender sees neither."""

    code: str
    detail: str


class Thresholds(msgspec.Struct, frozen=True, kw_only=True):
    """The limits above which an action is held. 0 turns a detector off.

    user_per_minute     actions of one user, unless more is usual for the type
    least_per_minute    never suspicious up to this, however slow a type usually is
    usual_factor        multiple of the type's baseline
    address_per_minute  actions from one address, as this node sees them
    identical           consecutive actions with the same metadata, where metadata is worth points
    metronome           consecutive gaps of the same length (at most GAPS)
    """

    user_per_minute: int = 300
    least_per_minute: int = 60
    usual_factor: int = 4
    address_per_minute: int = 10_000
    identical: int = 12
    metronome: int = 12


class Baseline(msgspec.Struct, frozen=True):
    """The busiest minute of a type's users: three of four users stay within it. Learnt from the ledger."""

    per_minute: int
    points_per_minute: int


class Evidence(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One action that the rules let pass.

    submission        the action as it was sent, and from which address
    attempt           the same as the rules saw it, with the user's progress in this type before it
    earned            its worth in points
    user_activity     this user's latest actions as this node remembers them, including this one
    type_activity     those of this type
    address_activity  the actions from this address in this minute, including this one; None: unknown address
    baseline          that of the type; None: too few users have completed it
    last_at           action type name -> when the user last completed it, for the types that `watch.sequence` names
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
