"""Judge a batch: from submissions and the facts about them to outcomes, and the rows to write.

Pure and sequential: each submission is judged against the state that its predecessors in the batch left, so a cap holds
within one batch as it does between batches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import msgspec
from msgspec.structs import replace

from .actions import ActionType, Facts, Recorded, Status, Submission, UserFacts, active_type
from .boards import Window
from .calendars import next_midnight
from .detectors import BatchDetection, Finding
from .errors import Code, LaurelsError, Refusal
from .rules import Attempt, Progress, explain, first_refusal, score
from .standings import INT64_MAX, INT64_MIN, Standing, fold, micros, overflow
from .tickets import Grant

CLAIM_LENGTH = 64
"""Characters of a claimed value that is stored as it is; a longer one is stored as a digest."""
_DIGEST = "sha256:"
_MINUTE = timedelta(minutes=1)
_MICROSECOND = timedelta(microseconds=1)


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """The action is in the ledger: since now, or since an earlier request (`replayed`)."""

    action: Recorded
    replayed: bool


Outcome = Accepted | LaurelsError


class Claim(msgspec.Struct, frozen=True, gc=False):
    """A value that counts once for all users, and the user who was first."""

    action_type_id: int
    value: str
    user_id: int
    action_id: int


class TicketUse(msgspec.Struct, frozen=True, gc=False):
    """A used ticket, and the action that was awarded for it."""

    nonce: bytes
    action_id: int
    expires_at: datetime


@dataclass(slots=True)
class Judgement:
    """The decisions of one batch. The mappings hold only changes, which must be written.

    actions            each new row with the index of its submission
    progress           (user id, action type id) -> counters
    standings          (window id, user id) -> standing
    scores             user id -> score in the default board
    points             user id -> points earned on the day of the batch, over all types
    type_counts        action type id -> awards to all users
    held               action id -> why it is held
    shadows            shadowed user id -> standing in the default board before and after the batch
    microseconds_left  most microseconds after the batch's instant at which an action may count
    """

    outcomes: list[Outcome] = field(default_factory=list)
    actions: list[tuple[int, Recorded]] = field(default_factory=list)
    progress: dict[tuple[int, int], Progress] = field(default_factory=dict)
    standings: dict[tuple[int, int], Standing] = field(default_factory=dict)
    scores: dict[int, int] = field(default_factory=dict)
    points: dict[int, int] = field(default_factory=dict)
    type_counts: dict[int, int] = field(default_factory=dict)
    claims: list[Claim] = field(default_factory=list)
    held: dict[int, Finding] = field(default_factory=dict)
    shadows: dict[int, tuple[Standing | None, Standing | None]] = field(default_factory=dict)
    ticket_uses: list[TicketUse] = field(default_factory=list)
    microseconds_left: int = 0


def judge(
    submissions: Sequence[Submission],
    facts: Facts,
    types: Mapping[str, ActionType],
    windows: Sequence[Window],
    detection: BatchDetection | None = None,
) -> Judgement:
    """Decide every submission in order; `detection` may hold an action for review. O(submissions x windows).

    `facts.action_ids` must hold at least one unused id per submission; `windows` are those open at `facts.now`.
    """
    batch_judge = _BatchJudge(facts, types, windows, detection)
    for index, submission in enumerate(submissions):
        try:
            outcome: Outcome = batch_judge.decide(index, submission)
        except LaurelsError as refusal:
            outcome = refusal
        batch_judge.result.outcomes.append(outcome)
    return batch_judge.result


class _BatchJudge:
    """The state of judging one batch."""

    def __init__(
        self,
        facts: Facts,
        types: Mapping[str, ActionType],
        windows: Sequence[Window],
        detection: BatchDetection | None,
    ) -> None:
        self.result = Judgement()
        self._facts = facts
        self._types = types
        self._windows = windows
        self._detection = detection
        self._board = next((window.board for window in windows if window.board.is_default), None)
        self._now = facts.now
        self._at = self._last = micros(facts.now)
        self._day = facts.day

    def decide(self, index: int, submission: Submission) -> Accepted:
        if index == 1:
            self.result.microseconds_left = microseconds_left_after(self._facts.now, self._windows)
            self._last = self._at + self.result.microseconds_left
        if self._at < self._last:  # each later action counts a microsecond after the one before
            self._at += 1
            self._now += _MICROSECOND
        user = self._user(submission.user_id)
        known = self._facts.known.get((user.id, submission.identifier))
        if known is not None:
            return _replay(known, submission)
        kind = active_type(self._types, submission.action_type)
        attempt = self._attempt(submission, user, kind)
        refusal = first_refusal(attempt, kind.checks)
        if refusal is not None:
            raise refusal
        earned = score(attempt)
        points = self._points_after(user, earned)
        finding = self._finding(submission, kind, user, attempt, earned)
        accepted = self._accept(index, submission, kind, attempt, earned, finding)
        self.result.points[user.id] = points
        return accepted

    def _user(self, user_id: int) -> UserFacts:
        user = self._facts.users.get(user_id)
        if user is None:
            raise LaurelsError(Code.TOKEN_INVALID, "This account no longer exists.")
        if user.status == "banned":
            raise LaurelsError(Code.BANNED, "This account is banned.")
        if user.status == "erased":
            raise LaurelsError(Code.TOKEN_INVALID, "This account no longer exists.")
        return user

    def _attempt(self, submission: Submission, user: UserFacts, kind: ActionType) -> Attempt:
        facts, rules = self._facts, kind.rules
        metadata = submission.decoded() if rules.reads_metadata else None
        claim = claimed_value(kind, metadata)
        return Attempt(
            rules=rules,
            base_score=kind.base_score,
            progress=facts.progress.get((user.id, kind.id)) or Progress(),
            now=self._now,
            day=self._day,
            zone=facts.zone,
            completed_at=submission.completed_at,
            metadata=metadata,
            earlier=self._earlier(user.id, kind) if rules.requires else {},
            type_count=facts.type_counts.get(kind.id, 0),
            claimed=claim is not None and (kind.id, claim) in facts.claims,
            user_id=user.id,
            action_type=kind.name,
            by_server=submission.by_server,
            ticket=submission.ticket,
            ticket_used=submission.ticket is not None and self._is_used(kind, submission),
        )

    def _earlier(self, user_id: int, kind: ActionType) -> dict[str, int]:
        counts = {}
        for wanted in kind.rules.requires or ():
            other = self._types.get(wanted.action_type)
            progress = None if other is None else self._facts.progress.get((user_id, other.id))
            counts[wanted.action_type] = progress.total_count if progress else 0
        return counts

    def _points_after(self, user: UserFacts, earned: int) -> int:
        """Return the points of the day with this action's, held or not. Raises Refusal."""
        before = self.result.points.get(user.id)
        points = (user.points_on(self._day) if before is None else before) + earned
        if not INT64_MIN <= points <= INT64_MAX:
            raise overflow()
        cap = None if self._board is None else self._board.daily_points_cap
        if cap is None or points <= cap:
            return points
        tomorrow = next_midnight(self._facts.zone, self._facts.now)
        raise Refusal(Code.DAILY_POINTS_REACHED, f"One user may earn {cap} points a day.", retry_at=tomorrow)

    def _finding(
        self, submission: Submission, kind: ActionType, user: UserFacts, attempt: Attempt, earned: int
    ) -> Finding | None:
        if self._detection is None:
            return None
        return self._detection.find(submission, kind, user, attempt, earned, self._last_at(user.id, kind))

    def _last_at(self, user_id: int, kind: ActionType) -> dict[str, datetime | None]:
        """Return when the user last completed each action type that `watch.sequence` names."""
        watch = kind.rules.watch
        found: dict[str, datetime | None] = {}
        for step in (watch.sequence if watch is not None else None) or ():
            other = self._types.get(step.action_type)
            progress = None if other is None else self._facts.progress.get((user_id, other.id))
            found[step.action_type] = progress.last_at if progress else None
        return found

    def _accept(
        self,
        index: int,
        submission: Submission,
        kind: ActionType,
        attempt: Attempt,
        earned: int,
        finding: Finding | None,
    ) -> Accepted:
        """Record an action. A held one moves no standing, but is counted: it must not be a way around caps."""
        facts, result, user_id = self._facts, self.result, submission.user_id
        shadow = self._default_standing(user_id) if facts.users[user_id].status == "shadowed" else None
        if finding is None:
            folded = self._fold_windows(user_id, kind, earned)
            facts.standings.update(folded)
            result.standings.update(folded)
        advanced = attempt.progress.advanced(self._now, self._day)
        facts.progress[user_id, kind.id] = result.progress[user_id, kind.id] = advanced
        action = self._record(index, submission, attempt, earned, "awarded" if finding is None else "held")
        facts.known[user_id, submission.identifier] = action
        result.actions.append((index, action))
        result.scores[user_id] = action.new_score
        if finding is not None:
            result.held[action.action_id] = finding
        if facts.users[user_id].status == "shadowed":
            first, _ = result.shadows.get(user_id, (shadow, None))
            result.shadows[user_id] = first, self._default_standing(user_id)
        if kind.rules.is_shared:
            self._count_for_everybody(kind, attempt, action)
        if submission.ticket is not None:
            self._use_ticket(kind, submission, action)
        return Accepted(action, replayed=False)

    def _record(self, index: int, submission: Submission, attempt: Attempt, earned: int, status: Status) -> Recorded:
        facts = self._facts
        return Recorded(
            action_id=facts.action_ids[index],
            user_id=submission.user_id,
            action_type=submission.action_type,
            identifier=submission.identifier,
            fingerprint=submission.fingerprint(),
            score_earned=earned,
            new_score=self._current_score(submission.user_id),
            completed_at=submission.completed_at or self._now,
            batch_id=facts.batch_id,
            status=status,
            reason=explain(attempt),
        )

    def _is_used(self, kind: ActionType, submission: Submission) -> bool:
        grant = required_grant(kind, submission)
        return grant is not None and grant.nonce in self._facts.used_tickets

    def _use_ticket(self, kind: ActionType, submission: Submission, action: Recorded) -> None:
        grant = required_grant(kind, submission)
        if grant is not None:
            self._facts.used_tickets.add(grant.nonce)
            self.result.ticket_uses.append(TicketUse(grant.nonce, action.action_id, grant.expires_at))

    def _count_for_everybody(self, kind: ActionType, attempt: Attempt, action: Recorded) -> None:
        facts = self._facts
        facts.type_counts[kind.id] = self.result.type_counts[kind.id] = attempt.type_count + 1
        value = claimed_value(kind, attempt.metadata)
        if value is not None:
            facts.claims.add((kind.id, value))
            self.result.claims.append(Claim(kind.id, value, action.user_id, action.action_id))

    def _fold_windows(self, user_id: int, kind: ActionType, earned: int) -> dict[tuple[int, int], Standing]:
        """Return the changed standings of all windows. Raises Refusal when one overflows; then none is changed."""
        changed: dict[tuple[int, int], Standing] = {}
        for window in self._windows:
            board = window.board
            if not board.takes(kind.id):
                continue
            before = self._facts.standings.get((window.id, user_id))
            after = fold(before, earned, self._at, board.aggregate, board.order)
            if (before is None or before.void) and self._facts.users[user_id].status != "active":
                after = replace(after, hidden=True)
            if after is not before:
                changed[window.id, user_id] = after
        return changed

    def _current_score(self, user_id: int) -> int:
        standing = self._default_standing(user_id)
        return 0 if standing is None else standing.score

    def _default_standing(self, user_id: int) -> Standing | None:
        """Return the standing in the default board, or None where nothing counts, or nothing any longer."""
        for window in self._windows:
            if window.board.is_default:
                standing = self._facts.standings.get((window.id, user_id))
                return None if standing is None or standing.void else standing
        return None


def required_grant(kind: ActionType, submission: Submission) -> Grant | None:
    """Return what the ticket grants, if the type requires a ticket from this sender and the ticket is genuine."""
    if kind.rules.ticket is None or submission.by_server or submission.ticket is None:
        return None
    return submission.ticket.grant


def microseconds_left_after(now: datetime, windows: Sequence[Window]) -> int:
    """Return how many microseconds after `now` are in the same clock minute and in the same windows.

    Actions of one batch are a microsecond apart, in order of arrival, so that the user who reached a score first wins
    the tie. They stay within the minute, so that the counters of minutes, hours and days are those of `now`. Actions
    beyond that share the last microsecond.
    """
    ends = [window.span.ends_at for window in windows if window.span.ends_at is not None]
    minute = now.replace(second=0, microsecond=0) + _MINUTE
    return micros(min([minute, *ends])) - micros(now) - 1


def claimed_value(kind: ActionType, metadata: Mapping[str, Any] | None) -> str | None:
    """Return the value that an action claims under `once_for_all`, as the ledger stores it; None without a claim.

    A long value is stored as its digest: an index entry of PostgreSQL holds 2,700 bytes. A value that looks like a
    digest is stored as a digest too, so that a long value can't be claimed by sending its digest.
    """
    member = kind.rules.once_for_all
    value = None if member is None else (metadata or {}).get(member)
    if not isinstance(value, str | int) or isinstance(value, bool):
        return None
    text = str(value)
    if len(text) <= CLAIM_LENGTH and not text.startswith(_DIGEST):
        return text
    return _DIGEST + sha256(text.encode()).hexdigest()


def _replay(known: Recorded, submission: Submission) -> Accepted:
    if known.fingerprint != submission.fingerprint():
        raise LaurelsError(
            Code.IDENTIFIER_CONFLICT,
            f"action_identifier {submission.identifier!r} was used before with another body. "
            "Send the same body again, or take a new identifier.",
        )
    return Accepted(known, replayed=True)
