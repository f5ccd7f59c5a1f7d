"""The members of a line of a file. Unknown ones are refused, so that a misspelt one is not lost silently."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

import asyncpg
import msgspec
from msgspec import Meta

from ...domain import email as email_rule
from ...domain.actions import Status
from ...domain.refold import Kind
from ...domain.rules import ScoringRules
from ...domain.standings import INT64_MAX, INT64_MIN
from ..db.pool import BadData

NotStorable = (*BadData, asyncpg.ProgramLimitExceededError)
"""Errors by which PostgreSQL refuses a row for its values: out of range, or too long for an index."""

Int64 = Annotated[int, Meta(ge=INT64_MIN, le=INT64_MAX)]
_NO_CONTROLS: dict[str, Any] = {
    "pattern": r"^[^\x00-\x1f\x7f-\x9f]+$(?!\n)",
    "extra": {"expected": "text without control characters"},
}
_NO_NUL: dict[str, Any] = {"pattern": r"^[^\x00]*$(?!\n)", "extra": {"expected": "text without NUL"}}
Text = Annotated[str, Meta(min_length=1, max_length=1_024, **_NO_NUL)]
Identifier = Annotated[str, Meta(min_length=1, max_length=128, **_NO_CONTROLS)]
Name = Annotated[str, Meta(min_length=1, max_length=64, **_NO_CONTROLS)]
Instant = Annotated[datetime, Meta(tz=True)]
Email = Annotated[
    str, Meta(max_length=email_rule.MAX_LENGTH, pattern=email_rule.PATTERN, extra={"expected": email_rule.EXPECTED})
]
PasswordHash = Annotated[
    str,
    Meta(
        pattern=r"^\$argon2id\$[\x21-\x7e]+$(?!\n)",
        max_length=512,
        extra={"expected": "an argon2id hash, such as $argon2id$v=19$m=65536,t=3,p=4$…", "secret": True},
    ),
]


class _Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line."""


class UserRecord(_Record, frozen=True):
    """`password_hash` is an argon2 string; without one the user has no password until one is set."""

    username: Name
    email: Email | None = None
    role: Literal["player", "moderator", "admin"] = "player"
    status: Literal["active", "shadowed", "banned", "erased"] = "active"
    password_hash: PasswordHash | None = None
    external_issuer: Text | None = None
    external_subject: Text | None = None
    created_at: Instant | None = None


class TypeRecord(_Record, frozen=True):
    name: Name
    base_score: Int64
    description: Annotated[str, Meta(max_length=500, **_NO_NUL)] = ""
    scoring_rules: ScoringRules = ScoringRules()
    is_active: bool = True


class LedgerRecord(_Record, frozen=True):
    """One row of the ledger, with names in place of ids.

    kind          completion; reversal, then `undoes` (and `undoes_kind`) names the row it undoes; or adjustment
    score_earned  what it counts when it is awarded; of a reversal the negative of what it undoes
    created_at    when it counted: it decides the window. By default completed_at, and the other way round
    new_score     the default board's score right after it; if missing, it is computed from the rows before it
    fingerprint   digest of the request, so that its sender gets its receipt again; if missing, that of a plain request
    held_code, held_detail   why a held action is held
    """

    username: Name
    score_earned: Int64
    kind: Kind = "completion"
    action_type: Name | None = None
    action_identifier: Identifier | None = None
    undoes: Identifier | None = None
    undoes_kind: Literal["completion", "adjustment"] = "completion"
    status: Status = "awarded"
    metadata: dict[str, Any] | None = None
    reason: Text | None = None
    held_code: Name | None = None
    held_detail: Text | None = None
    new_score: Int64 | None = None
    fingerprint: Int64 | None = None
    completed_at: Instant | None = None
    created_at: Instant | None = None


_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


def out_of_range(now: datetime, *instants: datetime | None) -> str | None:
    """Return why one of the instants is out of range: calendars of boards must be able to compute with it."""
    if any(at is not None and at > now for at in instants):
        return "it lies in the future"
    if any(at is not None and at < _EARLIEST for at in instants):
        return "it lies before 1970"
    return None


R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Line(Generic[R]):
    """A record, the number of its first line in the file, and the members that the line gives a value."""

    number: int
    record: R
    given: frozenset[str]


@dataclass(frozen=True, slots=True)
class BadRow:
    """A line that cannot be imported, and why."""

    line: int
    why: str


@dataclass(slots=True)
class ImportTally:
    """Counts of the lines of one batch; each line is counted once."""

    added: int = 0
    present: int = 0
    bad: list[BadRow] = field(default_factory=list)


class BatchStopped(Exception):
    """A batch that was to stop at its first bad row has one: nothing of the batch was written."""

    def __init__(self, bad: BadRow) -> None:
        super().__init__(bad.why)
        self.bad = bad


def stop_at_bad(tally: ImportTally, *, stop: bool) -> None:
    """Raise BatchStopped with the first bad row, if there is one and `stop` is set."""
    if stop and tally.bad:
        raise BatchStopped(min(tally.bad, key=lambda row: row.line))
