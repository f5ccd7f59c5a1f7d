"""The detectors with what they know, as a node keeps them and one batch uses them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from ..actions import ActionType, Submission, UserFacts
from ..rules import Attempt
from ..standings import micros
from .evidence import Detector, Evidence, Suspicion, Thresholds, Usual
from .looks import DETECTORS
from .recollection import Impression, Recollection


class Watch:
    """One per node. `usual` (action type id -> what is usual) and `thresholds` are replaced as they change."""

    def __init__(self, detectors: Sequence[Detector] = DETECTORS, thresholds: Thresholds | None = None) -> None:
        self.detectors = detectors
        self.thresholds = thresholds or Thresholds()
        self.usual: Mapping[int, Usual] = {}
        self._recollection = Recollection()

    def batch(self) -> Sighting:
        """For one transaction."""
        return Sighting(self, self._recollection.batch())

    def keep(self, sighting: Sighting) -> None:
        """The transaction was committed: remember what it saw."""
        self._recollection.keep(sighting.impression)


class Sighting:
    """One batch under watch."""

    def __init__(self, watch: Watch, impression: Impression) -> None:
        self._watch = watch
        self.impression = impression

    def suspicion(
        self,
        submission: Submission,
        kind: ActionType,
        user: UserFacts,
        attempt: Attempt,
        earned: int,
        last_at: dict[str, datetime | None],
    ) -> Suspicion | None:
        """Ask every detector in order; None: nothing looks wrong. Servers that hold an API key are believed."""
        rules = kind.rules.watch
        if submission.by_server or (rules is not None and rules.off) or not self._watch.detectors:
            return None
        at = micros(attempt.now)
        evidence = Evidence(
            submission=submission,
            kind=kind,
            user=user,
            attempt=attempt,
            earned=earned,
            thresholds=self._watch.thresholds,
            trail=self.impression.act(user.id, at),
            habit=self.impression.repeat(user.id, kind.id, at, submission.metadata, earned),
            crowd=None if submission.address is None else self.impression.arrive(submission.address, at),
            usual=self._watch.usual.get(kind.id),
            last_at=last_at,
        )
        for detector in self._watch.detectors:
            found = detector(evidence)
            if found is not None:
                if found.code != "still_suspect":
                    self.impression.suspect(user.id, at)
                return found
        return None
