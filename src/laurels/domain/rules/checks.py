"""Rules that refuse an action. They run in the order of CHECKS, and the first refusal wins.

A type runs only the checks that its rules need: `checks_for` is computed once per type.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from ..calendars import next_midnight
from ..errors import Code, LaurelsError, Refusal
from ..tickets import Grant
from .attempt import Attempt
from .document import Member, ScoringRules, TicketRule

FUTURE_TOLERANCE = timedelta(seconds=5)
"""How far a client's `completed_at` may be ahead of the ledger's clock: clocks differ."""

_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "number": (int, float),
    "integer": (int,),
    "string": (str,),
    "boolean": (bool,),
}


def _issuer(attempt: Attempt) -> Refusal | None:
    if attempt.by_server:
        return None
    return Refusal(Code.SERVER_ONLY, "Only your app's server can complete this: /api/server/actions/complete.")


def _ticket(attempt: Attempt) -> Refusal | None:
    rule, ticket = attempt.rules.ticket, attempt.ticket
    if rule is None or attempt.by_server:
        return None
    if ticket is None:
        return Refusal(Code.TICKET_REQUIRED, "Start this first: POST /api/actions/start, then send its ticket.")
    grant = ticket.grant
    if grant is None or grant.action_type != attempt.action_type:
        return _bad_ticket(Code.TICKET_INVALID, "This ticket was not issued here, or is for another action type.")
    if grant.user_id != attempt.user_id:
        return _bad_ticket(Code.TICKET_NOT_YOURS, "This ticket was issued to another user.")
    if attempt.ticket_used:
        return _bad_ticket(Code.TICKET_USED, "This ticket has been used. Start again.")
    return _ticket_time(attempt, rule, grant)


def _ticket_time(attempt: Attempt, rule: TicketRule, grant: Grant) -> Refusal | None:
    if attempt.now < grant.not_before:
        seconds = (grant.not_before - grant.started_at).total_seconds()
        detail = f"This takes at least {seconds:.0f} seconds. The ticket stays valid."
        return Refusal(Code.TICKET_TOO_EARLY, detail, retry_at=grant.not_before, path="$.ticket")
    if attempt.now >= grant.expires_at:
        return _bad_ticket(Code.TICKET_EXPIRED, "This ticket has expired. Start again.")
    last = attempt.progress.last_at
    if not rule.parallel and last is not None and grant.started_at < last:
        return _bad_ticket(Code.TICKET_OVERLAPS, "Another one was completed after this was started. Start again.")
    return None


def _schedule(attempt: Attempt) -> Refusal | None:
    rules = attempt.rules
    if rules.starts_at is not None and attempt.now < rules.starts_at:
        return Refusal(Code.NOT_STARTED, "This action does not count yet.", retry_at=rules.starts_at)
    if rules.ends_at is not None and attempt.now >= rules.ends_at:
        return Refusal(Code.ENDED, "This action no longer counts.")
    return None


def _completed_at(attempt: Attempt) -> Refusal | None:
    at, limit = attempt.completed_at, attempt.rules.max_age_seconds
    if at is None:
        return None
    if at > attempt.now + FUTURE_TOLERANCE:
        return Refusal(
            Code.COMPLETED_IN_FUTURE,
            "completed_at lies in the future. Leave it out, or set the clock of the sender.",
            retry_at=at,
        )
    if limit is not None and attempt.now - at > timedelta(seconds=limit):
        return Refusal(Code.COMPLETED_TOO_LONG_AGO, f"completed_at may lie at most {limit} seconds back.")
    return None


def _metadata(attempt: Attempt) -> Refusal | None:
    schema = attempt.rules.metadata
    if schema is None:
        return None
    given = attempt.metadata or {}
    unknown = sorted(given.keys() - schema.keys())
    if unknown:
        return _bad_metadata("metadata", f"{unknown[0]!r} is not a member this action takes.", unknown[0])
    for name, member in schema.items():
        missing = "is missing" if member.required else None
        complaint = _complaint(given[name], member) if name in given else missing
        if complaint:
            return _bad_metadata("metadata", f"{name!r} {complaint}.", name)
    return None


def _complaint(value: Any, member: Member) -> str | None:
    fits = isinstance(value, _PYTHON_TYPES[member.type]) and (isinstance(value, bool) == (member.type == "boolean"))
    if not fits:
        return f"must be a {member.type}"
    if member.minimum is not None and value < member.minimum:
        return f"must be at least {member.minimum}"
    if member.maximum is not None and value > member.maximum:
        return f"must be at most {member.maximum}"
    if member.max_length is not None and len(value) > member.max_length:
        return f"has at most {member.max_length} characters"
    if member.one_of is not None and value not in member.one_of:
        return "must be one of the allowed values"
    return None


def _multiplier(attempt: Attempt) -> Refusal | None:
    """Refuse a value that can't be multiplied, instead of silently counting it as the default."""
    rule, given = attempt.rules.multiplier, attempt.metadata or {}
    if rule is None or rule.member not in given:
        return None
    value = given[rule.member]
    if not isinstance(value, int | float) or isinstance(value, bool):
        return _bad_metadata("multiplier", f"{rule.member!r} must be a number.", rule.member)
    if rule.out_of_bounds == "refuse" and not rule.minimum <= value <= rule.maximum:
        detail = f"{rule.member!r} must lie between {rule.minimum} and {rule.maximum}."
        return _bad_metadata("multiplier", detail, rule.member)
    return None


def _requires(attempt: Attempt) -> Refusal | None:
    for wanted in attempt.rules.requires or ():
        if attempt.earlier.get(wanted.action_type, 0) < wanted.count:
            return Refusal(
                Code.REQUIREMENT_MISSING, f"First complete {wanted.action_type!r} ({wanted.count} times in all)."
            )
    return None


def _once_for_all(attempt: Attempt) -> Refusal | None:
    member = attempt.rules.once_for_all
    if member is None:
        return None
    value = (attempt.metadata or {}).get(member)
    if not isinstance(value, str | int) or isinstance(value, bool):
        return _bad_metadata("once_for_all", f"{member!r} must be a string or an integer.", member)
    if attempt.claimed:
        return Refusal(Code.ALREADY_CLAIMED, "Another user was faster: this counts once for all users.")
    return None


def _total_cap(attempt: Attempt) -> Refusal | None:
    cap = attempt.rules.total_cap
    if cap is None or attempt.progress.total_count < cap:
        return None
    return Refusal(Code.TOTAL_CAP_REACHED, f"This action counts {cap} times in all.")


def _daily_cap(attempt: Attempt) -> Refusal | None:
    cap = attempt.rules.daily_cap
    if cap is None or attempt.progress.on_day(attempt.day) < cap:
        return None
    tomorrow = next_midnight(attempt.zone, attempt.now)
    return Refusal(Code.DAILY_CAP_REACHED, f"This action counts {cap} times a day.", retry_at=tomorrow)


def _hour_cap(attempt: Attempt) -> Refusal | None:
    cap, now = attempt.rules.hour_cap, attempt.now
    if cap is None or attempt.progress.in_hour(now) < cap:
        return None
    next_hour = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    return Refusal(Code.HOUR_CAP_REACHED, f"This action counts {cap} times an hour.", retry_at=next_hour)


def _minute_cap(attempt: Attempt) -> Refusal | None:
    cap, now = attempt.rules.minute_cap, attempt.now
    if cap is None or attempt.progress.in_minute(now) < cap:
        return None
    next_minute = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    return Refusal(Code.MINUTE_CAP_REACHED, f"This action counts {cap} times a minute.", retry_at=next_minute)


def _cooldown(attempt: Attempt) -> Refusal | None:
    seconds, last = attempt.rules.cooldown_seconds, attempt.progress.last_at
    if seconds is None or last is None:
        return None
    ready_at = last + timedelta(seconds=seconds)
    if attempt.now >= ready_at:
        return None
    return Refusal(Code.COOLDOWN_ACTIVE, f"This action counts once every {seconds} seconds.", retry_at=ready_at)


def _bad_ticket(code: Code, detail: str) -> Refusal:
    return Refusal(code, detail, path="$.ticket")


def _bad_metadata(rule: str, detail: str, member: str) -> Refusal:
    return Refusal(Code.METADATA_INVALID, detail, path=f"$.metadata.{member}", rule=rule)


Check = Callable[[Attempt], Refusal | None]

CHECKS: tuple[tuple[Check, tuple[str, ...]], ...] = (
    (_issuer, ("issuer",)),
    (_ticket, ("ticket",)),
    (_schedule, ("starts_at", "ends_at")),
    (_completed_at, ()),
    (_metadata, ("metadata",)),
    (_multiplier, ("multiplier",)),
    (_requires, ("requires",)),
    (_once_for_all, ("once_for_all",)),
    (_total_cap, ("total_cap",)),
    (_daily_cap, ("daily_cap",)),
    (_hour_cap, ("hour_cap",)),
    (_minute_cap, ("minute_cap",)),
    (_cooldown, ("cooldown_seconds",)),
)
"""Each check with the members of ScoringRules that need it; without any, it always runs."""


def checks_for(rules: ScoringRules) -> tuple[Check, ...]:
    """Return the checks that these rules need, in order."""
    return tuple(
        check
        for check, members in CHECKS
        if not members or any(getattr(rules, member) is not None for member in members)
    )


def first_refusal(attempt: Attempt, checks: tuple[Check, ...] | None = None) -> Refusal | None:
    """Run `checks`, by default those of the attempt's rules, in order. Return None when the action counts."""
    for check in checks_for(attempt.rules) if checks is None else checks:
        refusal = check(attempt)
        if refusal is not None:
            return refusal
    return None


_RULE_OF: dict[Code, str] = {
    Code.SERVER_ONLY: "issuer",
    Code.NOT_STARTED: "starts_at",
    Code.ENDED: "ends_at",
    Code.COMPLETED_TOO_LONG_AGO: "max_age_seconds",
    Code.REQUIREMENT_MISSING: "requires",
    Code.ALREADY_CLAIMED: "once_for_all",
    Code.TOTAL_CAP_REACHED: "total_cap",
    Code.DAILY_CAP_REACHED: "daily_cap",
    Code.HOUR_CAP_REACHED: "hour_cap",
    Code.MINUTE_CAP_REACHED: "minute_cap",
    Code.COOLDOWN_ACTIVE: "cooldown_seconds",
}


def rule_of(refusal: LaurelsError) -> str | None:
    """Return the member of the scoring rules behind a refusal, or None when no rule of the type refuses."""
    if refusal.code.startswith("ticket_"):
        return "ticket"
    if isinstance(refusal, Refusal) and refusal.rule is not None:
        return refusal.rule
    return _RULE_OF.get(refusal.code)
