"""What may look wrong about an action that the rules let pass: a pure function per detector, in a registry.

A detector that answers a Suspicion holds the action: it is in the ledger and uses up caps and cooldowns like any
other, but counts nothing until somebody has looked at it. The first suspicion wins.

evidence      what a detector may look at, and what it may say
recollection  what a node remembers of recent actions
looks         the detectors, and their registry
watch         all of it as one batch needs it

To add a detector: write a function from Evidence to Suspicion or None in `looks`, and add its line to DETECTORS.
What it must know goes into `Evidence`, and into `Facts` when it comes from the ledger.
"""

from __future__ import annotations

from .engine import BatchDetection, DetectorEngine
from .evidence import Baseline, Detector, Evidence, Finding, Thresholds
from .history import ActivityHistory, AddressActivity, UserActivity
from .rules import DETECTORS

__all__ = [
    "DETECTORS",
    "ActivityHistory",
    "AddressActivity",
    "Baseline",
    "BatchDetection",
    "Detector",
    "DetectorEngine",
    "Evidence",
    "Finding",
    "Thresholds",
    "UserActivity",
]
