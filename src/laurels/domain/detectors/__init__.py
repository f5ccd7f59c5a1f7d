"""What may look wrong about an action that the rules let pass: a pure function per detector, in a registry.

A detector that answers a Suspicion holds the action: it is in the ledger and uses up caps and cooldowns like any
other, but counts nothing until somebody has looked at it. The first suspicion wins.

To add a detector: write a function from Evidence to Suspicion or None, and add its line to DETECTORS. What it must
know goes into `Evidence`, and into `Facts` when it comes from the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from ..actions import ActionType, Submission, UserFacts
from ..rules import Attempt


class Suspicion(msgspec.Struct, frozen=True):
    """Why an action is held: a stable code, and a sentence for whoever reviews it. The sender sees neither."""

    code: str
    detail: str


class Evidence(msgspec.Struct, frozen=True):
    """What a detector may look at.

    submission  what was sent, and from which address
    attempt     the same as the rules saw it, with the user's progress in this type before it
    earned      what it would be worth
    """

    submission: Submission
    kind: ActionType
    user: UserFacts
    attempt: Attempt
    earned: int


Detector = Callable[[Evidence], Suspicion | None]

DETECTORS: tuple[Detector, ...] = ()


def first_suspicion(evidence: Evidence, detectors: Sequence[Detector]) -> Suspicion | None:
    """Ask in order; None: nothing looks wrong."""
    for detector in detectors:
        suspicion = detector(evidence)
        if suspicion is not None:
            return suspicion
    return None
