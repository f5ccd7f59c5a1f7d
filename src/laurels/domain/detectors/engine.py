"""Run the detectors on the actions of a batch, with the history of this node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from ..actions import ActionType, Submission, UserFacts
from ..rules import Attempt
from ..standings import micros
from .detectors import DETECTORS
from .evidence import Baseline, Detector, Evidence, Finding, Thresholds
from .history import ActivityHistory, BatchHistory


class DetectorEngine:
    """One per node. `baselines` (by action type id) and `thresholds` are replaced as they change."""

    def __init__(self, detectors: Sequence[Detector] = DETECTORS, thresholds: Thresholds | None = None) -> None:
        self.detectors = detectors
        self.thresholds = thresholds or Thresholds()
        self.baselines: Mapping[int, Baseline] = {}
        self._history = ActivityHistory()

    def batch(self) -> BatchDetection:
        """Return the detection of one transaction."""
        return BatchDetection(self, self._history.batch())

    def commit(self, detection: BatchDetection) -> None:
        """Remember the actions of a transaction that was committed."""
        self._history.commit(detection.history)


class BatchDetection:
    """The detectors as one batch uses them."""

    def __init__(self, engine: DetectorEngine, history: BatchHistory) -> None:
        self._engine = engine
        self.history = history

    def find(
        self,
        submission: Submission,
        kind: ActionType,
        user: UserFacts,
        attempt: Attempt,
        earned: int,
        last_at: dict[str, datetime | None],
    ) -> Finding | None:
        """Return the first finding, or None. Servers that hold an API key are trusted."""
        rules = kind.rules.watch
        if submission.by_server or (rules is not None and rules.off) or not self._engine.detectors:
            return None
        at = micros(attempt.now)
        evidence = Evidence(
            submission=submission,
            kind=kind,
            user=user,
            attempt=attempt,
            earned=earned,
            thresholds=self._engine.thresholds,
            user_activity=self.history.record_user(user.id, at),
            type_activity=self.history.record_type(user.id, kind.id, at, submission.metadata, earned),
            address_activity=None
            if submission.address is None
            else self.history.record_address(submission.address, at),
            baseline=self._engine.baselines.get(kind.id),
            last_at=last_at,
        )
        for detector in self._engine.detectors:
            found = detector(evidence)
            if found is not None:
                if found.code != "still_suspect":
                    self.history.mark_suspect(user.id, at)
                return found
        return None
