"""Action types and boards are edited over HTTP: versioned, audited, known to every node, exact from the first look."""

from __future__ import annotations

import asyncio
from datetime import datetime
from functools import partial
from typing import Any

import msgspec
import pytest
from tests.support.node import InProcessNode, running_node
from tests.support.polling import eventually
from tests.support.receipts import replay_of
from tests.web.admin import call, of_role, pages

from laurels.config import Settings
from laurels.domain.calendars import Calendar, span_at

TYPES, BOARDS = "/api/admin/action-types", "/api/admin/boards"


@pytest.fixture
async def admin(node: InProcessNode) -> str:
    return await of_role(node, "admin", "root")


async def make(node: InProcessNode, admin: str, **members: Any) -> dict[str, Any]:
    status, made = await node.post(TYPES, {"name": "run", "base_score": 7} | members, admin)
    assert status == 201, made
    return made


async def test_a_new_type_counts_at_once(node: InProcessNode, admin: str) -> None:
    """The reply to its creation is the promise: the next action of that type is awarded."""
    made = await make(node, admin, scoring_rules={"daily_cap": 1}, description="Run a mile")
    assert made["version"] == 1
    assert (await node.get(f"{TYPES}/run", admin)) == (200, made)
    player = await node.token()
    assert (await node.complete(player, "r1", "run"))[1]["score_earned"] == 7
    assert (await node.complete(player, "r2", "run"))[1]["code"] == "daily_cap_reached"


async def test_an_edit_changes_what_it_names_and_nothing_else(node: InProcessNode, admin: str) -> None:
    """PATCH: members left out stay; the version grows; an edit that changes nothing is none."""
    await make(node, admin, scoring_rules={"daily_cap": 3})
    status, edited = await call(node, "PATCH", f"{TYPES}/run", admin, {"version": 1, "base_score": 9})
    assert (status, edited["version"], edited["base_score"]) == (200, 2, 9)
    assert edited["scoring_rules"] == {"daily_cap": 3}
    status, again = await call(node, "PATCH", f"{TYPES}/run", admin, {"version": 2, "base_score": 9})
    assert (status, again["version"]) == (200, 2)
    status, off = await call(node, "PATCH", f"{TYPES}/run", admin, {"version": 2, "is_active": False})
    assert (status, off["is_active"]) == (200, False)
    assert (await node.complete(await node.token(), "r1", "run"))[1]["code"] == "action_type_inactive"


async def test_of_two_edits_on_one_version_one_is_refused(node: InProcessNode, admin: str) -> None:
    """No edit is overwritten unseen, however close the two are."""
    await make(node, admin)
    edits = [call(node, "PATCH", f"{TYPES}/run", admin, {"version": 1, "base_score": n}) for n in (20, 30)]
    replies = await asyncio.gather(*edits)
    assert sorted(status for status, _ in replies) == [200, 409]
    assert next(body for status, body in replies if status == 409)["code"] == "version_conflict"
    won = next(body for status, body in replies if status == 200)
    assert (await node.get(f"{TYPES}/run", admin))[1] == won


BAD_RULES = {
    "a misspelt rule": ({"daily_kap": 1}, "$.scoring_rules"),
    "a wrong type": ({"cooldown_seconds": "10"}, "$.scoring_rules.cooldown_seconds"),
    "out of bounds": ({"streak": {"bonus": 5, "days": 0}}, "$.scoring_rules.streak.days"),
    "another version": ({"version": 2}, "$.scoring_rules.version"),
    "a contradiction": (
        {"starts_at": "2026-01-02T00:00:00Z", "ends_at": "2026-01-01T00:00:00Z"},
        "$.scoring_rules.ends_at",
    ),
    "an unknown requirement": ({"requires": [{"action_type": "fly"}]}, "$.scoring_rules.requires[0].action_type"),
}


@pytest.mark.parametrize("what", BAD_RULES)
async def test_bad_rules_are_refused_where_they_are_wrong(node: InProcessNode, admin: str, what: str) -> None:
    """When they are saved, naming the path; nothing is written. In a creation and in an edit alike."""
    rules, path = BAD_RULES[what]
    status, refused = await node.post(TYPES, {"name": "run", "base_score": 7, "scoring_rules": rules}, admin)
    assert (status, refused["code"], refused["path"]) == (422, "invalid_request", path)
    status, refused = await call(node, "PATCH", f"{TYPES}/lesson", admin, {"version": 1, "scoring_rules": rules})
    assert (status, refused["path"]) == (422, path)
    assert await node.services.pool.fetchval("SELECT count(*) FROM audit WHERE act NOT LIKE 'login.%'") == 0
    assert (await node.get(f"{TYPES}/lesson", admin))[1]["version"] == 1


async def test_every_change_is_in_the_audit_trail(node: InProcessNode, admin: str) -> None:
    """An entry names who, what, before, after, why, and in which request; in the same transaction as the change."""
    await make(node, admin, reason="autumn season")
    await call(node, "PATCH", f"{TYPES}/run", admin, {"version": 1, "base_score": 9, "reason": "too cheap"})
    await call(node, "PATCH", f"{TYPES}/run", admin, {"version": 1, "base_score": 11})
    status, trail = await node.get("/api/admin/audit?subject=action_type:run", admin)
    assert status == 200
    edit, creation = trail["entries"]
    assert (creation["act"], creation["before"], creation["reason"]) == ("action_type.create", None, "autumn season")
    assert (edit["act"], edit["reason"]) == ("action_type.edit", "too cheap")
    assert (edit["before"]["base_score"], edit["after"]["base_score"]) == (7, 9)
    assert edit["actor"].startswith("user:")
    assert edit["request_id"]


async def test_the_trail_is_filtered_and_paged(node: InProcessNode, admin: str) -> None:
    """By actor, subject, act and time; newest first."""
    await make(node, admin)
    for version in range(1, 8):
        await call(node, "PATCH", f"{TYPES}/run", admin, {"version": version, "base_score": 100 + version})
    everything = await pages(node, "/api/admin/audit", admin, "entries", 3)
    assert [entry["act"] for entry in everything] == [
        *["action_type.edit"] * 7,
        "action_type.create",
        "login.succeeded",
    ]
    assert await pages(node, "/api/admin/audit?act=action_type.create", admin, "entries", 3) == everything[-2:-1]
    me = everything[0]["actor"]
    assert await pages(node, f"/api/admin/audit?actor={me}", admin, "entries", 100) == everything
    assert await pages(node, "/api/admin/audit?actor=user:0", admin, "entries", 3) == []
    since = everything[2]["at"].replace("+", "%2B")
    assert await pages(node, f"/api/admin/audit?since={since}", admin, "entries", 3) == everything[:3]
    assert await pages(node, f"/api/admin/audit?until={since}", admin, "entries", 3) == everything[3:]


async def test_names_are_taken_once(node: InProcessNode, admin: str) -> None:
    await make(node, admin)
    status, refused = await node.post(TYPES, {"name": "run", "base_score": 1}, admin)
    assert (status, refused["code"]) == (409, "already_exists")
    status, refused = await node.post(BOARDS, {"slug": "points", "name": "Mine"}, admin)
    assert (status, refused["code"]) == (409, "already_exists")


async def test_lists_are_filtered(node: InProcessNode, admin: str) -> None:
    await make(node, admin, is_active=False)
    names = [kind["name"] for kind in await pages(node, TYPES, admin, "action_types", 2)]
    assert names == ["lesson", "quiz", "daily-login", "profile-completed", "race", "run"]
    assert [k["name"] for k in await pages(node, f"{TYPES}?active=false", admin, "action_types", 2)] == ["run"]
    assert [k["name"] for k in await pages(node, f"{TYPES}?prefix=LES", admin, "action_types", 2)] == ["lesson"]


async def test_a_cursor_of_another_list_is_refused(node: InProcessNode, admin: str) -> None:
    """Also one that was made up: never a 500, never another user's page."""
    for cursor in ("x", "W10=", "WyJhIl0=", "WzFlMzBd", "WzEsMl0="):
        status, refused = await node.get(f"{TYPES}?cursor={cursor}", admin)
        assert (status, refused["code"], refused["path"]) == (422, "invalid_request", "$.cursor"), cursor
    beyond_all = "WzkwMDAwMDAwMDAwMDAwMDAwMDBd"
    assert (await node.get(f"{TYPES}?cursor={beyond_all}", admin))[1] == {"action_types": [], "next": None}


async def test_a_new_board_is_exact_when_it_is_shown(node: InProcessNode, settings: Settings, admin: str) -> None:
    """Earlier actions are in it; meanwhile it is not shown, and other nodes fold into it too."""
    ada, bob = await node.token("ada"), await node.token("bob")
    await node.complete(ada, "a1", "lesson")
    await node.complete(bob, "b1", "quiz")
    board = {"slug": "lessons", "name": "Lessons", "action_types": ["lesson"], "ties": "competition"}
    async with running_node(settings) as other:
        status, made = await node.post(BOARDS, board, admin)
        assert (status, made["state"], made["action_types"]) == (201, "filling", ["lesson"])
        assert (await node.get("/api/boards/lessons"))[1]["code"] == "board_unknown"
        await node.complete(ada, "a2", "lesson")
        await eventually(lambda: other.get("/api/boards/lessons"), lambda reply: reply[0] == 200, within=20)
        await node.complete(bob, "b2", "lesson")

        async def rows(where: InProcessNode) -> list[tuple[str, int]]:
            _, shown = await where.get("/api/boards/lessons")
            return [(row["username"], row["score"]) for row in shown.get("rows", [])]

        for where in (node, other):
            await eventually(partial(rows, where), lambda seen: seen == [("ada", 20), ("bob", 10)], within=20)
    assert (await node.get(f"{BOARDS}/lessons", admin))[1]["state"] == "open"


async def test_what_a_rank_means_is_fixed(node: InProcessNode, admin: str) -> None:
    """Order, aggregate, ties, calendar and types can be sent, but not changed."""
    for member, value in {"order": "asc", "aggregate": "best", "ties": "dense", "calendar": {"every": "day"}}.items():
        status, refused = await call(node, "PATCH", f"{BOARDS}/points", admin, {"version": 1, member: value})
        assert (status, refused["code"], refused["path"]) == (409, "board_fixed", f"$.{member}")
    same = {"version": 1, "order": "desc", "name": "Endless", "daily_points_cap": 30}
    status, edited = await call(node, "PATCH", f"{BOARDS}/points", admin, same)
    assert (status, edited["name"], edited["daily_points_cap"], edited["version"]) == (200, "Endless", 30, 2)
    player = await node.token()
    codes = [(await node.complete(player, f"l{n}"))[1].get("code") for n in range(4)]
    assert codes == [None, None, None, "daily_points_reached"]


async def test_an_archived_board_is_gone_and_comes_back_exact(node: InProcessNode, admin: str) -> None:
    """It is shown nowhere and counts no more; back again, it has caught up. The default board stays."""
    status, refused = await call(node, "PATCH", f"{BOARDS}/points", admin, {"version": 1, "archived": True})
    assert (status, refused["code"]) == (409, "board_fixed")
    weekly = f"{BOARDS}/points-weekly"
    ada = await node.token("ada")
    await node.complete(ada, "a1")
    status, gone = await call(node, "PATCH", weekly, admin, {"version": 1, "archived": True})
    assert (status, gone["state"]) == (200, "archived")
    assert (await node.get("/api/boards/points-weekly"))[0] == 404
    await node.complete(ada, "a2")
    assert (await call(node, "PATCH", weekly, admin, {"version": 2, "archived": False}))[1]["state"] == "filling"

    async def score() -> list[int]:
        _, shown = await node.get("/api/boards/points-weekly")
        return [row["score"] for row in shown.get("rows", [])]

    await eventually(score, lambda scores: scores == [20], within=20)


@pytest.mark.parametrize(
    ("calendar", "words"),
    [
        (
            {"every": "hour", "interval": 500, "anchor": "2026-11-02"},
            "every 500 hours from Monday, 2 November 2026 in",
        ),
        ({"every": "week", "first_day": "sunday", "at": "04:00"}, "each week from Sunday 04:00 in UTC"),
        ({"every": "day", "interval": 30, "anchor": "2026-11-01"}, "every 30 days from Sunday, 1 November 2026 in UTC"),
        ({"every": "quarter", "time_zone": "Asia/Kolkata"}, "each quarter in Asia/Kolkata"),
        ({"cron": "0 20 * * FRI"}, "from each time that '0 20 * * FRI' fires in UTC"),
    ],
)
async def test_a_board_of_any_calendar_ranks_what_its_open_window_counts(
    node: InProcessNode, admin: str, calendar: dict[str, Any], words: str
) -> None:
    """Its window is the one of the calendar, and the calendar is shown as it was sent."""
    status, made = await node.post(BOARDS, {"slug": "timed", "name": "Timed", "calendar": calendar}, admin)
    assert (status, made["calendar"]) == (201, calendar)
    assert words in made["summary"]
    player = await node.token("ada")

    async def board() -> dict[str, Any]:
        return (await node.get("/api/boards/timed"))[1]

    shown = await eventually(board, lambda found: "rows" in found, within=20)
    await node.complete(player, "a1")
    shown = await eventually(board, lambda found: [row["score"] for row in found["rows"]] == [10], within=20)
    expected = span_at(msgspec.convert(calendar, Calendar), datetime.fromisoformat(shown["as_of"]))
    assert datetime.fromisoformat(shown["window"]["starts_at"]) == expected.starts_at
    assert datetime.fromisoformat(shown["window"]["ends_at"]) == expected.ends_at
    listed = {one["slug"]: one for one in (await node.get("/api/boards"))[1]["boards"]}
    assert (listed["timed"]["calendar"], listed["timed"]["period"]) == (calendar, calendar.get("every", "cron"))


async def test_a_calendar_or_a_type_that_cannot_be_is_refused(node: InProcessNode, admin: str) -> None:
    for members, path in (
        ({"calendar": {"time_zone": "Mars/Olympus"}}, "$.calendar.time_zone"),
        ({"calendar": {"time_zone": "../../etc/passwd"}}, "$.calendar.time_zone"),
        ({"calendar": {"time_zone": "localtime"}}, "$.calendar.time_zone"),
        ({"calendar": {"time_zone": "posixrules"}}, "$.calendar.time_zone"),
        ({"calendar": {"time_zone": "Factory"}}, "$.calendar.time_zone"),
        ({"calendar": {"time_zone": "right/Europe/Berlin"}}, "$.calendar.time_zone"),
        ({"calendar": {"time_zone": "posix/Europe/Berlin"}}, "$.calendar.time_zone"),
        ({"calendar": {"time_zone": "europe/berlin"}}, "$.calendar.time_zone"),
        ({"calendar": {"every": "forthnight"}}, "$.calendar.every"),
        ({"calendar": {"every": "week", "interval": 0}}, "$.calendar.interval"),
        ({"calendar": {"every": "week", "interval": 2}}, "$.calendar.anchor"),
        ({"calendar": {"every": "day", "at": "24:00"}}, "$.calendar.at"),
        ({"calendar": {"every": "day", "anchor": "2026-02-30"}}, "$.calendar.anchor"),
        ({"calendar": {"cron": "61 * * * *"}}, "$.calendar.cron"),
        ({"calendar": {"cron": "0 4 * * 1", "every": "week"}}, "$.calendar.every"),
        ({"calendar": {"evry": "week"}}, "$.calendar"),
        ({"action_types": ["lesson", "fly"]}, "$.action_types[1]"),
    ):
        status, refused = await node.post(BOARDS, {"slug": "x", "name": "X"} | members, admin)
        assert (status, refused["path"]) == (422, path), members


async def test_a_trial_says_what_the_rules_would_say(node: InProcessNode, admin: str) -> None:
    """Verdict, score and the rule that refuses, on real counters; for rules in force and for rules not saved yet."""
    await make(node, admin, scoring_rules={"daily_cap": 1}, base_score=7)
    ada = await node.token("ada")
    try_it = f"{TYPES}/run/try"
    before = await everything(node)
    status, told = await node.post(try_it, {"username": "ada"}, admin)
    assert (status, told["verdict"], told["score"], told["new_score"]) == (200, "awarded", 7, 7)
    assert await everything(node) == before
    assert (await node.complete(ada, "r1", "run"))[1]["new_score"] == 7
    before = await everything(node)
    told = (await node.post(try_it, {"username": "ADA"}, admin))[1]
    assert (told["verdict"], told["code"], told["rule"]) == ("refused", "daily_cap_reached", "daily_cap")
    assert told["retry_at"]
    draft = {"username": "ada", "base_score": 50, "scoring_rules": {"daily_cap": 2, "streak": {"bonus": 1, "days": 2}}}
    told = (await node.post(try_it, draft, admin))[1]
    assert (told["verdict"], told["score"], told["new_score"]) == ("awarded", 50, 57)
    bad = draft | {"scoring_rules": {"once_for_all": "code", "metadata": {}}}
    assert (await node.post(try_it, bad, admin))[1]["path"] == "$.scoring_rules.once_for_all"
    assert await everything(node) == before


@pytest.mark.parametrize(
    "rules",
    [
        {"once_for_all": "a\0"},
        {"metadata": {"a\0": {"type": "string"}}},
        {"metadata": {"a": {"type": "string", "one_of": ["\0"]}}},
        {"multiplier": {"member": "\0", "minimum": 0, "maximum": 2}},
        {"requires": [{"action_type": "\0"}]},
        {"watch": {"sequence": [{"action_type": "\0", "min_seconds": 1}]}},
    ],
)
async def test_nul_in_scoring_rules_is_refused(node: InProcessNode, admin: str, rules: dict[str, Any]) -> None:
    """When a type is made, changed, or tried: PostgreSQL can't store it."""
    await make(node, admin)
    sent = (
        ("POST", TYPES, {"name": "other", "base_score": 1}),
        ("PATCH", f"{TYPES}/run", {"version": 1}),
        ("POST", f"{TYPES}/run/try", {"username": "ada"}),
    )
    await node.token("ada")
    for method, path, body in sent:
        status, refused = await call(node, method, path, admin, body | {"scoring_rules": rules})
        assert (status, refused["code"]) == (422, "invalid_request"), path
        assert refused["path"].startswith(f"$.scoring_rules.{next(iter(rules))}")


async def test_a_number_that_counts_otherwise_is_refused_or_the_receipt_says_so(
    node: InProcessNode, admin: str
) -> None:
    """By the type's choice; a trial says the same, and a replay gives the same receipt."""
    rule = {"member": "level", "minimum": 1, "maximum": 3}
    made = await make(node, admin, scoring_rules={"multiplier": rule}, base_score=5)
    ada = await node.token("ada")
    for value in (9, "2", True, None):
        told = (await node.post(f"{TYPES}/run/try", {"username": "ada", "metadata": {"level": value}}, admin))[1]
        assert (told["code"], told["rule"]) == ("metadata_invalid", "multiplier")
        status, refused = await node.complete(ada, "r1", "run", metadata={"level": value})
        assert (status, refused["code"], refused["path"]) == (422, "metadata_invalid", "$.metadata.level")
    clamped = {"version": made["version"], "scoring_rules": {"multiplier": rule | {"out_of_bounds": "clamp"}}}
    assert (await call(node, "PATCH", f"{TYPES}/run", admin, clamped))[0] == 200
    reason = "level counted as 3, the nearest allowed, 5 multiplied to 15"
    told = (await node.post(f"{TYPES}/run/try", {"username": "ada", "metadata": {"level": 9}}, admin))[1]
    assert (told["score"], told["reason"]) == (15, reason)
    _, receipt = await node.complete(ada, "r1", "run", metadata={"level": 9})
    assert (receipt["score_earned"], receipt["reason"]) == (15, reason)
    assert (await node.complete(ada, "r1", "run", metadata={"level": 9}))[1] == replay_of(receipt)
    assert (await node.get("/api/receipts/r1", ada))[1]["reason"] == reason


async def test_a_trial_agrees_with_what_then_happens(node: InProcessNode, admin: str) -> None:
    """All that it says of an action comes true when that action is sent."""
    rules = {
        "metadata": {"level": {"type": "integer", "required": True, "maximum": 5}},
        "multiplier": {"member": "level", "minimum": 1, "maximum": 3},
        "once_for_all": "level",
        "first": {"count": 2, "bonus": 100},
    }
    await make(node, admin, scoring_rules=rules)
    ada = await node.token("ada")
    for number, level in enumerate([2, 2, 4, 9, 5, None]):
        metadata = {} if level is None else {"level": level}
        told = (await node.post(f"{TYPES}/run/try", {"username": "ada", "metadata": metadata}, admin))[1]
        _, then = await node.complete(ada, f"r{number}", "run", metadata=metadata)
        assert (told["score"], told["code"]) == (then.get("score_earned"), then.get("code")), level


async def test_a_trial_waits_for_no_one(node: InProcessNode, admin: str) -> None:
    """It answers while the user's row is locked by an action in flight."""
    await node.token("ada")
    async with node.services.pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM users WHERE username = 'ada' FOR UPDATE")
        assert (await node.post(f"{TYPES}/lesson/try", {"username": "ada"}, admin))[1]["verdict"] == "awarded"


async def everything(node: InProcessNode) -> list[Any]:
    tables = (
        "actions",
        "user_action_counters",
        "standings",
        "users",
        "action_type_totals",
        "claims",
        "journal",
        "audit",
    )
    return [await node.services.pool.fetch(f"SELECT t::text FROM {table} t ORDER BY 1") for table in tables]
