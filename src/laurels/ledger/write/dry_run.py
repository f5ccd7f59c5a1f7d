"""Judge an action by a user's real counters without writing it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from ...domain.actions import ActionType, Submission
from ...domain.errors import Code, LaurelsError, Refusal
from ...domain.judgement import judge
from ...domain.rules import rule_of
from ..catalogue.catalogue import Catalogue
from ..db.pool import Pool, acquire_within
from .facts import load_facts


@dataclass(frozen=True, slots=True)
class DryRun:
    """The verdict on an action that was not sent.

    `rule`: the member of the scoring rules that refuses it; None when it counts, or something else refuses it.
    `reason` explains a score that is not the base score.
    """

    verdict: Literal["awarded", "held", "refused"]
    score: int | None = None
    new_score: int | None = None
    reason: str | None = None
    code: Code | None = None
    detail: str | None = None
    rule: str | None = None
    retry_at: datetime | None = None


async def dry_run(pool: Pool, catalogue: Catalogue, kind: ActionType, submission: Submission) -> DryRun:
    """Judge `submission` as if `kind` were in force. Takes no lock, so it does not wait for an action in flight."""
    trying = catalogue.with_type(kind)
    windows = await trying.windows_at(datetime.now(UTC))
    async with acquire_within(pool) as connection, connection.transaction(isolation="repeatable_read"):
        facts = await load_facts(connection, trying, [submission], windows, writing=False)
    facts.action_ids = [0]
    judgement = judge([submission], facts, trying.types, windows)
    (outcome,) = judgement.outcomes
    if isinstance(outcome, LaurelsError):
        retry_at = outcome.retry_at if isinstance(outcome, Refusal) else None
        rule = rule_of(outcome)
        return DryRun("refused", code=outcome.code, detail=outcome.detail, rule=rule, retry_at=retry_at)
    action = outcome.action
    return DryRun(
        "held" if action.status == "held" else "awarded", action.score_earned, action.new_score, action.reason
    )


def dry_run_identifier() -> str:
    """Return an identifier that no action has."""
    return f"try-{secrets.token_hex(16)}"
