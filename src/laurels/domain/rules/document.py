"""`scoring_rules`: the rules that an operator may give to an action type. With an empty document it always counts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ..errors import Code, LaurelsError
from ..schema_hints import explain, parse_message
from ..standings import INT64_MAX, INT64_MIN

MAX_MEMBERS = 32
MAX_TICKET_SECONDS = 86_400
"""A key that signed tickets is kept for a day after it was retired."""

PositiveCount = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Seconds = Annotated[int, Meta(ge=1, le=31_536_000)]
# PostgreSQL can't store NUL. (?!\n) because Python's $ also matches before a final newline.
_NO_NUL = r"^[^\x00]*$(?!\n)"
Text = Annotated[str, Meta(pattern=_NO_NUL)]
TypeName = Annotated[str, Meta(min_length=1, max_length=64, pattern=_NO_NUL)]
MemberName = Annotated[str, Meta(min_length=1, max_length=64, pattern=_NO_NUL)]
Points = Annotated[int, Meta(ge=INT64_MIN, le=INT64_MAX)]
Factor = Annotated[float, Meta(ge=-1_000_000, le=1_000_000)]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Refuses unknown members: a misspelt rule must not be ignored."""


class Requirement(_Strict, frozen=True):
    """Earlier actions of the same user: `count` of `action_type`."""

    action_type: TypeName
    count: PositiveCount = 1


class Member(_Strict, frozen=True):
    """One member of the metadata. `minimum` and `maximum` bound numbers, `max_length` strings."""

    type: Literal["number", "integer", "string", "boolean"]
    required: bool = False
    minimum: int | float | None = None
    maximum: int | float | None = None
    max_length: Annotated[int, Meta(ge=1, le=4_096)] | None = None
    one_of: Annotated[list[Text | int | float | bool], Meta(min_length=1, max_length=100)] | None = None


class Multiplier(_Strict, frozen=True, kw_only=True):
    """The base score times the number in `member`, or times `default` when it is left out.

    A number outside `minimum` to `maximum` is refused or, with `out_of_bounds: "clamp"`, counts as the nearer bound;
    the receipt's `reason` then says so.
    """

    member: MemberName
    minimum: Factor
    maximum: Factor
    default: Factor = 1.0
    out_of_bounds: Literal["refuse", "clamp"] = "refuse"


class Streak(_Strict, frozen=True):
    """`bonus` points for each consecutive earlier day, for at most `days` of them."""

    bonus: Points
    days: Annotated[int, Meta(ge=1, le=366)]


class First(_Strict, frozen=True):
    """`bonus` points for the first `count` awards of this type, over all users."""

    count: PositiveCount
    bonus: Points


class TicketRule(_Strict, frozen=True, kw_only=True):
    """An action must be started first: it counts from `min_seconds` to `max_seconds` after that.

    Unless `parallel`, it must also be started after the last one of this type that counted: otherwise many that were
    started together would all count `min_seconds` later.
    """

    min_seconds: Annotated[int, Meta(ge=0, le=MAX_TICKET_SECONDS)]
    max_seconds: Annotated[int, Meta(ge=1, le=MAX_TICKET_SECONDS)]
    parallel: bool = False


class Step(_Strict, frozen=True):
    """At least `min_seconds` pass between `action_type` and this one."""

    action_type: TypeName
    min_seconds: Seconds


class WatchRule(_Strict, frozen=True, kw_only=True):
    """Conditions under which an action of this type is held for review.

    off        never hold one
    per_minute more than this many of one user; left out, the type's baseline decides
    identical  the same metadata this many times in a row
    sequence   earlier actions, and the least time that passes after them
    """

    off: bool = False
    per_minute: PositiveCount | None = None
    identical: PositiveCount | None = None
    sequence: Annotated[list[Step], Meta(max_length=MAX_MEMBERS)] | None = None


class ScoringRules(_Strict, frozen=True):
    """Every rule an action type may have.

    cooldown_seconds    at least this long between two of the same user
    *_cap               at most so many per user in a calendar minute, hour, day, or in total
    once_for_all        a metadata member whose value one user alone may claim: redeem codes, first solves
    starts_at, ends_at  counts from the one and before the other
    requires            earlier actions of the same user
    metadata            the members that metadata may have; null: any
    multiplier, streak, first   changes to the base score
    max_age_seconds     how old `completed_at` may be
    issuer              "server": only a server may complete it
    ticket              it must be started first, unless a server completes it
    watch               conditions under which it is held for review
    """

    version: Annotated[int, Meta(ge=1, le=1)] = 1
    cooldown_seconds: Seconds | None = None
    minute_cap: PositiveCount | None = None
    hour_cap: PositiveCount | None = None
    daily_cap: PositiveCount | None = None
    total_cap: PositiveCount | None = None
    once_for_all: MemberName | None = None
    starts_at: Annotated[datetime, Meta(tz=True)] | None = None
    ends_at: Annotated[datetime, Meta(tz=True)] | None = None
    requires: Annotated[list[Requirement], Meta(max_length=MAX_MEMBERS)] | None = None
    metadata: Annotated[dict[MemberName, Member], Meta(max_length=MAX_MEMBERS)] | None = None
    multiplier: Multiplier | None = None
    streak: Streak | None = None
    first: First | None = None
    max_age_seconds: Seconds | None = None
    issuer: Literal["server"] | None = None
    ticket: TicketRule | None = None
    watch: WatchRule | None = None

    @property
    def is_shared(self) -> bool:
        """Return whether a rule reads other users' actions: such types are decided one batch at a time."""
        return self.once_for_all is not None or self.first is not None

    @property
    def other_types(self) -> list[str]:
        """Return the names of the types whose counters these rules read."""
        steps = self.watch.sequence if self.watch is not None else None
        return [item.action_type for item in (*(self.requires or ()), *(steps or ()))]

    @property
    def has_bonus(self) -> bool:
        """Return whether an action may be worth something other than the base score."""
        return not (self.multiplier is None and self.streak is None and self.first is None)

    @property
    def reads_metadata(self) -> bool:
        """Return whether a rule reads the metadata; otherwise it is not decoded."""
        return not (self.metadata is None and self.multiplier is None and self.once_for_all is None)


def parse_rules(document: bytes | str) -> ScoringRules:
    """Decode a `scoring_rules` document.

    Accepts every document that an earlier version stored. Raises LaurelsError(INVALID_REQUEST) whose `path` names the
    wrong member.
    """
    try:
        rules = msgspec.json.decode(document, type=ScoringRules)
    except msgspec.ValidationError as error:
        detail, path = parse_message(error)
        raise _bad(explain(detail, path, ScoringRules), path) from error
    except msgspec.DecodeError as error:
        raise _bad(str(error), "$") from error
    _check_consistent(rules, "$")
    return rules


def check_rules(rules: ScoringRules, root: str = "$") -> None:
    """Check rules for members that contradict each other, which a schema can't express, before they are saved.

    Raises LaurelsError(INVALID_REQUEST) with the path below `root`.
    """
    _check_consistent(rules, root)
    rule = rules.multiplier
    if rule is not None and not rule.minimum <= rule.default <= rule.maximum:
        raise _bad("default must lie between minimum and maximum; left out, it is 1.", f"{root}.multiplier.default")


def _check_consistent(rules: ScoringRules, root: str) -> None:
    if rules.starts_at and rules.ends_at and rules.starts_at >= rules.ends_at:
        raise _bad("ends_at must lie after starts_at.", f"{root}.ends_at")
    if rules.multiplier and rules.multiplier.minimum > rules.multiplier.maximum:
        raise _bad("maximum must not lie below minimum.", f"{root}.multiplier.maximum")
    if rules.ticket and rules.ticket.min_seconds >= rules.ticket.max_seconds:
        raise _bad("max_seconds must be more than min_seconds.", f"{root}.ticket.max_seconds")
    for name, member in (rules.metadata or {}).items():
        _check_member(member, f"{root}.metadata.{name}")
    for used, path in _members_used(rules):
        if rules.metadata is not None and used not in rules.metadata:
            raise _bad(f"{used!r} is not a member of metadata.", f"{root}.{path}")


def _check_member(member: Member, path: str) -> None:
    numeric = member.type in ("number", "integer")
    if not numeric and (member.minimum is not None or member.maximum is not None):
        raise _bad("minimum and maximum are for numbers.", path)
    if member.type != "string" and member.max_length is not None:
        raise _bad("max_length is for strings.", path)
    if member.minimum is not None and member.maximum is not None and member.minimum > member.maximum:
        raise _bad("maximum must not lie below minimum.", f"{path}.maximum")


def _members_used(rules: ScoringRules) -> list[tuple[str, str]]:
    used = []
    if rules.once_for_all is not None:
        used.append((rules.once_for_all, "once_for_all"))
    if rules.multiplier is not None:
        used.append((rules.multiplier.member, "multiplier.member"))
    return used


def _bad(detail: str, path: str) -> LaurelsError:
    return LaurelsError(Code.INVALID_REQUEST, detail, path=path)
