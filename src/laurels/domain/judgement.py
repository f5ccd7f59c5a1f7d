"""A batch of submissions and the facts about them in; outcomes and rows to write out.

Pure and sequential: each submission is judged against what its predecessors in the batch
left behind, so a cap holds inside one batch as it does between batches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from msgspec.structs import replace

from .actions import ActionType, Facts, Recorded, Submission
from .boards import Window
from .errors import Code, LaurelsError, Refusal
from .rules import Attempt, Progress, first_refusal
from .standings import Standing, fold, micros


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """The action is in the ledger: now, or since an earlier request (`replayed`)."""

    action: Recorded
    replayed: bool


Outcome = Accepted | LaurelsError


@dataclass(slots=True)
class Judgement:
    """What one batch decided. The mappings hold only what changed and must be written.

    `actions` pairs each new row with the index of its submission.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    actions: list[tuple[int, Recorded]] = field(default_factory=list)
    progress: dict[tuple[int, int], Progress] = field(default_factory=dict)
    standings: dict[tuple[int, int], Standing] = field(default_factory=dict)
    scores: dict[int, int] = field(default_factory=dict)


def judge(
    submissions: Sequence[Submission],
    facts: Facts,
    types: Mapping[str, ActionType],
    windows: Sequence[Window],
) -> Judgement:
    """Decide every submission in order. O(submissions x windows).

    `facts.action_ids` must hold one unused id per submission; `windows` are those open at `facts.now`.
    """
    judgement = Judgement()
    bench = _Bench(facts, windows, judgement)
    for index, submission in enumerate(submissions):
        try:
            outcome: Outcome = bench.decide(index, submission, types.get(submission.action_type))
        except LaurelsError as refusal:
            outcome = refusal
        judgement.outcomes.append(outcome)
    return judgement


class _Bench:
    """The state that one batch walks through."""

    def __init__(self, facts: Facts, windows: Sequence[Window], judgement: Judgement) -> None:
        self._facts = facts
        self._windows = windows
        self._result = judgement
        self._at = micros(facts.now)

    def decide(self, index: int, submission: Submission, kind: ActionType | None) -> Accepted:
        facts = self._facts
        self._check_user(submission.user_id)
        known = facts.known.get((submission.user_id, submission.identifier))
        if known is not None:
            return _replay(known, submission)
        if kind is None:
            raise Refusal(Code.ACTION_TYPE_UNKNOWN, f"There is no action type {submission.action_type!r}.")
        if not kind.is_active:
            raise Refusal(Code.ACTION_TYPE_INACTIVE, f"{kind.name!r} is not active at present.")
        progress = facts.progress.get((submission.user_id, kind.id)) or Progress()
        refusal = first_refusal(Attempt(kind.rules, progress, submission.completed_at, facts.now))
        if refusal is not None:
            raise refusal
        return self._award(index, submission, kind, progress)

    def _check_user(self, user_id: int) -> None:
        user = self._facts.users.get(user_id)
        if user is None:
            raise LaurelsError(Code.TOKEN_INVALID, "This account no longer exists.")
        if user.status == "banned":
            raise LaurelsError(Code.BANNED, "This account is banned.")

    def _award(self, index: int, submission: Submission, kind: ActionType, progress: Progress) -> Accepted:
        facts, user_id = self._facts, submission.user_id
        folded = self._fold_windows(user_id, kind)
        facts.standings.update(folded)
        self._result.standings.update(folded)
        advanced = progress.advanced(facts.now)
        facts.progress[user_id, kind.id] = self._result.progress[user_id, kind.id] = advanced
        action = Recorded(
            action_id=facts.action_ids[index],
            user_id=user_id,
            action_type=kind.name,
            identifier=submission.identifier,
            fingerprint=submission.fingerprint(),
            score_earned=kind.base_score,
            new_score=self._current_score(user_id),
            completed_at=submission.completed_at or facts.now,
            batch_id=facts.batch_id,
        )
        facts.known[user_id, submission.identifier] = action
        self._result.actions.append((index, action))
        self._result.scores[user_id] = action.new_score
        return Accepted(action, replayed=False)

    def _fold_windows(self, user_id: int, kind: ActionType) -> dict[tuple[int, int], Standing]:
        """All windows or, when one overflows, none: nothing is half-written."""
        changed: dict[tuple[int, int], Standing] = {}
        for window in self._windows:
            board = window.board
            if not board.takes(kind.id):
                continue
            before = self._facts.standings.get((window.id, user_id))
            after = fold(before, kind.base_score, self._at, board.aggregate, board.order)
            if before is None and self._facts.users[user_id].status != "active":
                after = replace(after, hidden=True)
            if after is not before:
                changed[window.id, user_id] = after
        return changed

    def _current_score(self, user_id: int) -> int:
        for window in self._windows:
            if window.board.is_default:
                standing = self._facts.standings.get((window.id, user_id))
                return standing.score if standing else 0
        return 0


def _replay(known: Recorded, submission: Submission) -> Accepted:
    if known.fingerprint != submission.fingerprint():
        raise LaurelsError(
            Code.IDENTIFIER_CONFLICT,
            f"action_identifier {submission.identifier!r} was used before with another body. "
            "Send the same body again, or take a new identifier.",
        )
    return Accepted(known, replayed=True)
