"""Detectors: a pure function for each kind of suspicious action, with a line in a registry.

A detector's Finding holds the action: it is in the ledger and uses up caps and cooldowns, but counts nothing until a
moderator has reviewed it. The first finding wins.

evidence    the input of detectors, and their Finding
history     the recent actions that a node remembers
detectors   the detectors and their registry; to add one, write a function from Evidence and add its line to DETECTORS
engine      runs them for the actions of one batch
"""

from __future__ import annotations

from .detectors import DETECTORS
from .engine import BatchDetection, DetectorEngine
from .evidence import Baseline, Detector, Evidence, Finding, Thresholds
from .history import ActivityHistory, AddressActivity, UserActivity

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
