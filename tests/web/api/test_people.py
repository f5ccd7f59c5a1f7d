"""Promises of what the public may know of people: exact, bounded, and nothing of those who are gone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest
from tests.support.node import InProcessNode

from laurels.ledger.accounts import people


async def found(node: InProcessNode, prefix: str, limit: int = 10) -> list[str]:
    status, body = await node.get(f"/api/users?prefix={quote(prefix)}&limit={limit}")
    assert status == 200, body
    return [one["username"] for one in body["people"]]


async def test_search_finds_by_the_beginning_whatever_the_case(node: InProcessNode) -> None:
    """Every name that begins so, and no other; wildcards of SQL are letters like any other."""
    for name in ("Ada", "adam", "Ábel", "Bert", "a_b", "axb", "ada lovelace"):
        await node.register(name)
    assert sorted(await found(node, "ada")) == ["Ada", "ada lovelace", "adam"]
    assert await found(node, "ADA L") == ["ada lovelace"]
    assert await found(node, "a_") == ["a_b"]
    assert await found(node, "á") == ["Ábel"]
    assert await found(node, "%") == []
    assert await found(node, "ad\0") == []


async def test_search_is_bounded(node: InProcessNode) -> None:
    """No more than asked for, no more than twenty, and never the whole list of users."""
    for n in range(5):
        await node.register(f"many-{n}")
    assert await found(node, "many", limit=2) == ["many-0", "many-1"]
    assert (await node.get("/api/users?prefix=m&limit=21"))[0] == 422
    assert (await node.get("/api/users?prefix="))[0] == 422
    assert (await node.get("/api/users"))[0] == 422


async def test_banned_people_are_not_found(node: InProcessNode, database_url: str) -> None:
    await node.register("outlaw")
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE users SET status = 'banned' WHERE username = 'outlaw'")
    await connection.close()
    assert await found(node, "outl") == []
    for path in ("", "/history"):
        status, body = await node.get(f"/api/users/outlaw{path}")
        assert (status, body["code"]) == (404, "user_unknown")


async def test_a_person_is_told_as_the_boards_tell(node: InProcessNode) -> None:
    """Places of every board equal those of the boards' own endpoint; what was done is counted."""
    token = await node.token("Grace")
    for n in range(3):
        await node.complete(token, f"l{n}")
    await node.complete(token, "q", kind="quiz")
    status, person = await node.get("/api/users/gRACE")
    assert (status, person["username"]) == (200, "Grace")
    for place in person["places"]:
        assert (200, place) == await node.get(f"/api/boards/{place['board']}/rank/Grace")
    done = [(one["action_type"], one["count"]) for one in person["done"]]
    assert done == [("lesson", 3), ("quiz", 1)]


async def test_history_is_the_score_at_the_end_of_each_day(node: InProcessNode, database_url: str) -> None:
    """One point per day with actions, oldest first, the last one being the present score."""
    token = await node.token("Linus")
    for n in range(4):
        await node.complete(token, f"l{n}")
    connection = await asyncpg.connect(database_url)
    await connection.execute("ALTER TABLE actions DISABLE TRIGGER actions_guard")
    await connection.execute(
        "UPDATE actions SET created_at = created_at - interval '3 days' WHERE action_identifier IN ('l0', 'l1')"
    )
    await connection.close()
    today = datetime.now(UTC).date()
    status, body = await node.get("/api/users/linus/history?days=30")
    assert (status, body["complete"]) == (200, True)
    assert body["days"] == [
        {"day": str(today - timedelta(days=3)), "score": 20},
        {"day": str(today), "score": 40},
    ]
    assert (await node.get("/api/users/linus/history?days=2"))[1]["days"] == body["days"][1:]


async def test_a_history_too_long_to_read_says_so(node: InProcessNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "HISTORY_ROWS", 2)
    token = await node.token("Busy")
    for n in range(3):
        await node.complete(token, f"l{n}")
    _, body = await node.get("/api/users/busy/history")
    assert (body["complete"], [day["score"] for day in body["days"]]) == (False, [30])


async def test_windows_are_told_newest_first(node: InProcessNode, database_url: str) -> None:
    """Page by page, each window once; all time has none; another board's window is unknown."""
    ids = await earlier_weeks(database_url, 3)
    seen: list[dict[str, Any]] = []
    before = ""
    while True:
        _, page = await node.get(f"/api/boards/points-weekly/windows?limit=2{before}")
        seen += page["windows"]
        if page["next_before"] is None:
            break
        before = f"&before={page['next_before']}"
    assert [one["id"] for one in seen][1:] == ids
    assert [one["starts_at"] for one in seen] == sorted((one["starts_at"] for one in seen), reverse=True)
    assert (await node.get("/api/boards/points/windows"))[1] == {"windows": [], "next_before": None}
    status, body = await node.get(f"/api/boards/points/windows/{ids[0]}")
    assert (status, body["code"]) == (404, "window_unknown")


async def test_an_earlier_window_is_exact_and_without_the_banned(node: InProcessNode, database_url: str) -> None:
    """The top list of a week that is over is the order of its standings; who is banned since has left it."""
    (week,) = await earlier_weeks(database_url, 1)
    names = ("first", "second", "third")
    await node.services.directory.refresh_blocked()
    connection = await asyncpg.connect(database_url)
    for score, name in zip((30, 20, 10), names, strict=True):
        await node.register(name)
        await connection.execute(
            "INSERT INTO standings (window_id, user_id, score, sort_score, reached_at, version) "
            "SELECT $1, id, $2, ~$2::bigint, now(), 1 FROM users WHERE username = $3",
            week,
            score,
            name,
        )
    status, body = await node.get(f"/api/boards/points-weekly/windows/{week}")
    assert (status, body["total_users"]) == (200, 3)
    assert [(r["rank"], r["username"], r["score"]) for r in body["rows"]] == [
        (1, "first", 30),
        (2, "second", 20),
        (3, "third", 10),
    ]
    await connection.execute("UPDATE standings SET hidden = true WHERE score = 30 AND window_id = $1", week)
    await connection.close()
    node.services.directory.forget()
    _, body = await node.get(f"/api/boards/points-weekly/windows/{week}")
    assert [r["username"] for r in body["rows"]] == ["second", "third"]


async def earlier_weeks(database_url: str, many: int) -> list[int]:
    """Ids of weeks before the present one, newest first."""
    connection = await asyncpg.connect(database_url)
    rows = await connection.fetch(
        "INSERT INTO windows (board_id, starts_at, ends_at) "
        "SELECT b.id, date_trunc('week', now()) - n * interval '1 week', "
        "date_trunc('week', now()) - (n - 1) * interval '1 week' "
        "FROM boards b, generate_series(1, $1) n WHERE b.slug = 'points-weekly' ORDER BY n RETURNING id",
        many,
    )
    await connection.close()
    return [row["id"] for row in rows]
