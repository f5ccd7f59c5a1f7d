"""Every rule says no when it should, yes when it may, and what would help."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from math import floor
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laurels.domain.errors import Code, LaurelsError, Refusal
from laurels.domain.rules import (
    Attempt,
    Progress,
    ScoringRules,
    check_rules,
    explain,
    first_refusal,
    parse_rules,
    rule_of,
    score,
)
from laurels.domain.standings import INT64_MAX

NOW = datetime(2026, 11, 23, 12, 30, 45, tzinfo=UTC)


def attempt(document: dict, progress: Progress | None = None, **more: object) -> Attempt:
    rules = parse_rules(msgspec.json.encode(document))
    facts: dict[str, Any] = {"base_score": 10, "now": NOW, "day": NOW.date(), **more}
    return Attempt(rules=rules, progress=progress or Progress(), **facts)


def code(document: dict, progress: Progress | None = None, **more: object) -> str:
    refusal = first_refusal(attempt(document, progress, **more))
    return "ok" if refusal is None else refusal.code.value


def after(count: int, gap: timedelta, now: datetime = NOW) -> Progress:
    """The counters after `count` awards, `gap` apart, the last one `gap` ago."""
    progress = Progress()
    for n in range(count, 0, -1):
        at = now - n * gap
        progress = progress.advanced(at, at.date())
    return progress


@pytest.mark.parametrize(
    ("rule", "refused"),
    [("minute_cap", "minute_cap_reached"), ("hour_cap", "hour_cap_reached"), ("daily_cap", "daily_cap_reached")],
)
def test_a_cap_counts_within_its_stretch_and_names_the_end(rule: str, refused: str) -> None:
    """Full within the calendar minute, hour or day; free again at the instant the refusal names."""
    full = after(3, timedelta(seconds=5))
    refusal = first_refusal(attempt({rule: 3}, full))
    assert refusal is not None
    assert refusal.code == refused
    assert code({rule: 4}, full) == "ok"
    assert code({rule: 3}, full, now=refusal.retry_at, day=refusal.retry_at.date()) == "ok"


@given(st.lists(st.integers(1, 100_000), max_size=40))
def test_counters_equal_a_list_of_all_awards(gaps: list[int]) -> None:
    """Total, day, hour, minute and streak against counting all awards again each time."""
    progress, at = Progress(), NOW
    awards: list[datetime] = []
    for gap in gaps:
        at += timedelta(seconds=gap)
        assert progress.in_minute(at) == sum(a.replace(second=0) == at.replace(second=0) for a in awards)
        assert progress.in_hour(at) == sum(
            a.replace(minute=0, second=0) == at.replace(minute=0, second=0) for a in awards
        )
        assert progress.on_day(at.date()) == sum(a.date() == at.date() for a in awards)
        assert progress.streak_on(at.date()) == _streak(awards, at.date())
        progress = progress.advanced(at, at.date())
        awards.append(at)
        assert progress.total_count == len(awards)


def _streak(awards: list[datetime], day: date) -> int:
    days, length = {award.date() for award in awards}, 0
    while day - timedelta(days=length + 1) in days:
        length += 1
    return length


def test_a_schedule_opens_and_closes() -> None:
    window = {"starts_at": "2026-11-23T12:00:00Z", "ends_at": "2026-11-23T13:00:00Z"}
    assert code(window) == "ok"
    assert code(window, now=NOW - timedelta(hours=1)) == "not_started"
    assert code(window, now=datetime(2026, 11, 23, 13, tzinfo=UTC)) == "ended"


def test_requirements_name_what_is_missing() -> None:
    rules = {"requires": [{"action_type": "quiz", "count": 2}]}
    assert code(rules, earlier={"quiz": 1}) == "requirement_missing"
    assert code(rules, earlier={"quiz": 2}) == "ok"


def test_completed_at_lies_neither_ahead_nor_too_far_back() -> None:
    assert code({}, completed_at=NOW + timedelta(minutes=1)) == "completed_in_future"
    assert code({"max_age_seconds": 60}, completed_at=NOW - timedelta(seconds=61)) == "completed_too_long_ago"
    assert code({"max_age_seconds": 60}, completed_at=NOW - timedelta(seconds=60)) == "ok"


SCHEMA = {
    "metadata": {
        "level": {"type": "integer", "required": True, "minimum": 1, "maximum": 9},
        "mood": {"type": "string", "max_length": 5, "one_of": ["good", "bad", "so-so so-so"]},
        "accuracy": {"type": "number"},
        "clean": {"type": "boolean"},
    }
}


@pytest.mark.parametrize(
    ("metadata", "path"),
    [
        ({"level": 3, "mood": "good", "accuracy": 0.5, "clean": True}, None),
        ({"level": 3, "accuracy": 1}, None),
        ({}, "$.metadata.level"),
        (None, "$.metadata.level"),
        ({"level": 0}, "$.metadata.level"),
        ({"level": 10}, "$.metadata.level"),
        ({"level": True}, "$.metadata.level"),
        ({"level": 1.5}, "$.metadata.level"),
        ({"level": 1, "mood": "awful"}, "$.metadata.mood"),
        ({"level": 1, "mood": "so-so so-so"}, "$.metadata.mood"),
        ({"level": 1, "clean": 1}, "$.metadata.clean"),
        ({"level": 1, "points": 9999}, "$.metadata.points"),
    ],
)
def test_metadata_fits_its_schema_or_the_path_is_named(metadata: dict | None, path: str | None) -> None:
    refusal = first_refusal(attempt(SCHEMA, metadata=metadata))
    assert (refusal.path if refusal else None) == path


def test_what_counts_once_for_everybody_is_claimed() -> None:
    rules = {"once_for_all": "code"}
    assert code(rules, metadata={"code": "XMAS"}) == "ok"
    assert code(rules, metadata={"code": "XMAS"}, claimed=True) == "already_claimed"
    assert code(rules, metadata={"code": 1.5}) == "metadata_invalid"
    assert code(rules) == "metadata_invalid"


MULTIPLIER = {"member": "m", "minimum": 0.5, "maximum": 2.5}
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63 - 1)


@given(NUMBERS | st.floats(0.5, 2.5), st.integers(-500, 500))
def test_a_multiplier_clamps_only_where_the_type_says_so_and_is_exact_for_decimals(number: float, base: int) -> None:
    """The number counts as it was written: 5 times 0.7 is 3.5 and rounds up, although the double is a little less."""
    rules = {"multiplier": MULTIPLIER | {"out_of_bounds": "clamp"}}
    sent = attempt(rules, base_score=base, metadata={"m": number})
    assert first_refusal(sent) is None
    clamped = min(max(Fraction(repr(number)), Fraction(1, 2)), Fraction(5, 2))
    assert score(sent) == floor(base * clamped + Fraction(1, 2))
    assert ("counted as" in (explain(sent) or "")) == (not 0.5 <= number <= 2.5)
    refused = code({"multiplier": MULTIPLIER}, base_score=base, metadata={"m": number}) == "metadata_invalid"
    assert refused == (not 0.5 <= number <= 2.5)


@pytest.mark.parametrize("value", ["2", True, None, [1], {}, "", 0.49, 2.51, 10**18])
def test_a_multiplier_of_the_wrong_type_or_out_of_bounds_is_refused_and_named(value: object) -> None:
    """Never taken as the default; also `clamp` takes numbers alone."""
    refusal = first_refusal(attempt({"multiplier": MULTIPLIER}, metadata={"m": value}))
    assert refusal is not None
    assert (refusal.code, refusal.path, rule_of(refusal)) == ("metadata_invalid", "$.metadata.m", "multiplier")
    if not isinstance(value, int | float) or isinstance(value, bool):
        assert code({"multiplier": MULTIPLIER | {"out_of_bounds": "clamp"}}, metadata={"m": value}) != "ok"


def test_a_multiplier_without_its_member_counts_as_its_default() -> None:
    rules = {"multiplier": {"member": "m", "minimum": 0, "maximum": 2, "default": 0.5}}
    assert score(attempt(rules, metadata={})) == 5
    assert score(attempt(rules)) == 5
    assert first_refusal(attempt(rules)) is None


def test_a_default_out_of_bounds_is_refused_when_rules_are_saved() -> None:
    """Leaving the member out would pay what no number may; rules that were saved so are read, and held in."""
    rules = parse_rules('{"multiplier": {"member": "m", "minimum": 2, "maximum": 3}}')
    with pytest.raises(LaurelsError) as refused:
        check_rules(rules, "$.scoring_rules")
    assert refused.value.path == "$.scoring_rules.multiplier.default"
    assert score(attempt({"multiplier": {"member": "m", "minimum": 2, "maximum": 3}})) == 20


@pytest.mark.parametrize(
    ("base", "number", "reason"),
    [
        (10, 2, "10 multiplied to 20"),
        (10, 1, None),
        (5, 0.7, "5 multiplied to 4, rounded from 3.5"),
        (10, 1.04, "10 multiplied to 10, rounded from 10.4"),
        (10, 7, "m counted as 2.5, the nearest allowed, 10 multiplied to 25"),
    ],
)
def test_a_receipt_can_tell_whatever_changed_a_number(base: int, number: float, reason: str | None) -> None:
    rules = {"multiplier": MULTIPLIER | {"out_of_bounds": "clamp"}}
    assert explain(attempt(rules, base_score=base, metadata={"m": number})) == reason


def test_bounds_of_members_stay_exact_beyond_doubles() -> None:
    bound = 2**53 + 1
    rules = {"metadata": {"n": {"type": "integer", "maximum": bound}}}
    assert code(rules, metadata={"n": bound}) == "ok"
    assert code(rules, metadata={"n": bound + 1}) == "metadata_invalid"


@pytest.mark.parametrize(
    "document",
    [
        {"once_for_all": "a\0"},
        {"metadata": {"a\0": {"type": "string"}}},
        {"metadata": {"a": {"type": "string", "one_of": ["x", "a\0b"]}}},
        {"multiplier": {"member": "\0", "minimum": 0, "maximum": 1}},
        {"requires": [{"action_type": "a\0"}]},
        {"watch": {"sequence": [{"action_type": "a\0", "min_seconds": 1}]}},
    ],
)
def test_nul_in_a_document_is_refused_with_its_path(document: dict) -> None:
    """PostgreSQL's jsonb can't hold it."""
    with pytest.raises(LaurelsError) as refused:
        parse_rules(msgspec.json.encode(document))
    assert refused.value.code is Code.INVALID_REQUEST
    assert next(iter(document)) in (refused.value.path or "")


def test_a_streak_pays_for_each_earlier_day_up_to_its_limit() -> None:
    rules = {"streak": {"bonus": 3, "days": 2}}
    assert [score(attempt(rules, after(n, timedelta(days=1)))) for n in range(4)] == [10, 13, 16, 16]
    assert score(attempt(rules, after(3, timedelta(days=2)))) == 10


def test_the_first_few_get_a_bonus() -> None:
    rules = {"first": {"count": 2, "bonus": 100}}
    assert [score(attempt(rules, type_count=n)) for n in range(3)] == [110, 110, 10]


def test_a_worth_beyond_64_bits_is_refused() -> None:
    rules = {"multiplier": {"member": "m", "minimum": 0, "maximum": 2}}
    with pytest.raises(Refusal) as refused:
        score(attempt(rules, base_score=INT64_MAX, metadata={"m": 2}))
    assert refused.value.code is Code.SCORE_OVERFLOW


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ('{"cooldown_seconds": 0}', "$.cooldown_seconds"),
        ('{"starts_at": "2026-01-02T00:00:00Z", "ends_at": "2026-01-01T00:00:00Z"}', "$.ends_at"),
        ('{"starts_at": "2026-01-02T00:00:00"}', "$.starts_at"),
        ('{"requires": [{"action_type": "a", "count": 0}]}', "$.requires[0].count"),
        ('{"requires": [{"action": "a"}]}', "$.requires[0]"),
        ('{"metadata": {"a": {"type": "strnig"}}}', "$.metadata[...].type"),
        ('{"metadata": {"a": {"type": "string", "maximum": 3}}}', "$.metadata.a"),
        ('{"metadata": {"a": {"type": "number", "minimum": 3, "maximum": 2}}}', "$.metadata.a.maximum"),
        ('{"metadata": {}, "once_for_all": "code"}', "$.once_for_all"),
        ('{"multiplier": {"member": "m", "minimum": 2, "maximum": 1}}', "$.multiplier.maximum"),
        ('{"multiplier": {"member": "m", "minimum": 0}}', "$.multiplier"),
        ('{"streak": {"bonus": 1, "days": 0}}', "$.streak.days"),
        ('{"bonus": 1}', "$"),
        ("not json", "$"),
    ],
)
def test_a_bad_document_names_the_path_that_is_wrong(document: str, path: str) -> None:
    with pytest.raises(LaurelsError) as refused:
        parse_rules(document)
    assert refused.value.code is Code.INVALID_REQUEST
    assert refused.value.path == path


def test_no_rules_refuse_nothing_and_pay_the_base() -> None:
    bare = Attempt(rules=ScoringRules(), base_score=10, progress=Progress(), now=NOW, day=NOW.date())
    assert first_refusal(bare) is None
    assert score(bare) == 10
