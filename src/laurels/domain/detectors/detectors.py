"""The detectors, one function each, in the order in which they run. The first finding wins.

None of them proves anything: each finds what a person could hardly have done, and a person decides.
"""

from __future__ import annotations

from ..wording import ordinal
from .evidence import Detector, Evidence, Finding
from .history import MINUTE

QUIET_MINUTES = 5
"""How long a user's actions are held after the last finding; otherwise the first ones of every minute would count."""
SHORTEST_GAP = 50_000
"""Microseconds. Actions closer than this were sent together, by an app that was offline or in a batch."""
LONGEST_GAP = 10 * MINUTE
REGULAR = 0.05
"""Gaps that are whole multiples of one beat, within this share of it, come from a machine."""
MOST_BEATS = 8
"""A longer gap does not count as a multiple: the error of the beat has grown too large."""


def _still_suspect(evidence: Evidence) -> Finding | None:
    since, at = evidence.user_activity.suspect_at, evidence.user_activity.at
    if since is None or at is None or at - since > QUIET_MINUTES * MINUTE:
        return None
    return Finding("still_suspect", f"Within {QUIET_MINUTES} minutes of another action that is held.")


def _velocity(evidence: Evidence) -> Finding | None:
    """Count actions of one type as in the ledger, over all nodes, and those of all types as this node sees them."""
    most = _most_of_type(evidence)
    count = evidence.attempt.progress.in_minute(evidence.attempt.now) + 1
    if most and count > most:
        return Finding(
            "velocity", f"The {ordinal(count)} of this type within a minute; up to {most} look like a person."
        )
    of_all, count = evidence.thresholds.user_per_minute, evidence.user_activity.count
    if of_all and count > max(of_all, most):
        return Finding(
            "velocity", f"The {ordinal(count)} action within a minute; up to {max(of_all, most)} look like a person."
        )
    return None


def _most_of_type(evidence: Evidence) -> int:
    watch, usual, thresholds = evidence.kind.rules.watch, evidence.baseline, evidence.thresholds
    if watch is not None and watch.per_minute is not None:
        return watch.per_minute
    if usual is None or not thresholds.usual_factor or not thresholds.user_per_minute:
        return thresholds.user_per_minute
    return max(thresholds.least_per_minute, thresholds.usual_factor * usual.per_minute)


def _points(evidence: Evidence) -> Finding | None:
    """Find a few expensive actions instead of many cheap ones; the first of a minute passes, whatever its worth."""
    usual, factor = evidence.baseline, evidence.thresholds.usual_factor
    if usual is None or not factor or usual.points_per_minute <= 0:
        return None
    limit, points = factor * max(usual.points_per_minute, evidence.earned), evidence.type_activity.points
    least = evidence.thresholds.least_per_minute * max(1, abs(evidence.kind.base_score))
    if points <= max(limit, least):
        return None
    return Finding("points_velocity", f"{points} points of this type within a minute; more than {limit} are unusual.")


def _address(evidence: Evidence) -> Finding | None:
    limit, address_activity = evidence.thresholds.address_per_minute, evidence.address_activity
    if address_activity is None or not limit or address_activity.count <= limit:
        return None
    count = ordinal(address_activity.count)
    return Finding("address_velocity", f"The {count} action from one address within a minute.")


def _identical(evidence: Evidence) -> Finding | None:
    """Find the same metadata again and again, where a number in it is worth points: people vary."""
    rules, same = evidence.kind.rules, evidence.type_activity.same
    limit = evidence.thresholds.identical if rules.multiplier is not None else 0
    if rules.watch is not None and rules.watch.identical is not None:
        limit = rules.watch.identical
    if not limit or same < limit or evidence.submission.metadata is None:
        return None
    return Finding("identical_metadata", f"The same metadata {same} times in a row.")


def _metronome(evidence: Evidence) -> Finding | None:
    wanted, user_activity = evidence.thresholds.metronome, evidence.user_activity
    if not wanted or user_activity.known < wanted:
        return None
    gaps = user_activity.gaps[-wanted:]
    beat = min(gaps)
    if not SHORTEST_GAP <= beat <= LONGEST_GAP:
        return None
    for gap in gaps:  # a person misses the beat at once; `all` with a generator costs as much as the rest
        if not _on_the_beat(gap, beat):
            return None
    return Finding("metronome", f"{wanted} gaps in a row are multiples of {beat / 1e6:.2f} seconds.")


def _on_the_beat(gap: int, beat: int) -> bool:
    """Return whether a gap is a multiple of the beat: refused actions in between leave a gap of several beats."""
    beats = round(gap / beat)
    return beats <= MOST_BEATS and abs(gap - beats * beat) <= REGULAR * beat


def _sequence(evidence: Evidence) -> Finding | None:
    """Find actions that come too soon after another one, by `watch.sequence`."""
    watch = evidence.kind.rules.watch
    for step in () if watch is None else watch.sequence or ():
        before = evidence.last_at.get(step.action_type)
        passed = None if before is None else (evidence.attempt.now - before).total_seconds()
        if passed is None:
            return Finding("impossible_sequence", f"Without any {step.action_type!r} before it.")
        if passed < step.min_seconds:
            return Finding(
                "impossible_sequence",
                f"{passed:.1f} seconds after {step.action_type!r}; it takes {step.min_seconds} at least.",
            )
    return None


DETECTORS: tuple[Detector, ...] = (
    _velocity,
    _points,
    _address,
    _identical,
    _metronome,
    _sequence,
    _still_suspect,
)
