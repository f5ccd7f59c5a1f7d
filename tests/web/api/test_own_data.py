"""My rows explained, my data handed out, my account erased."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.node import PASSWORD, InProcessNode
from tests.support.polling import eventually

from laurels.ledger.accounts import erasure, sanctions
from laurels.ledger.corrections import corrections
from laurels.ledger.events.audit import Actor
from laurels.ledger.standings import snapshots

ADMIN = Actor("operator:test", "request-1")


async def delete(node: InProcessNode, token: str, **body: Any) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}"}
    async with node.http.delete(f"{node.url}/api/me", json=body, headers=headers) as reply:
        return reply.status, await reply.json(content_type=None) if reply.status != 204 else None


async def whole_ledger(node: InProcessNode, token: str, limit: int = 2) -> list[dict[str, Any]]:
    """All pages, each of which must carry the same sum."""
    rows, sums, path = [], set(), f"/api/me/ledger?limit={limit}"
    cursor = ""
    while True:
        status, page = await node.get(path + cursor, token)
        assert status == 200
        rows += page["rows"]
        sums.add((page["score"], page["sum"]))
        if page["next"] is None:
            assert len(sums) == 1
            return rows
        cursor = f"&cursor={page['next']}"


async def test_the_rows_of_my_ledger_add_up_to_my_score(node: InProcessNode) -> None:
    """Newest first in pages; what was undone names its reversal, and every row says why."""
    token = await node.token("ada")
    services = node.services
    rules = '{"streak": {"bonus": 3, "days": 5}, "multiplier": {"member": "x", "minimum": 1, "maximum": 3}}'
    await services.pool.execute("UPDATE action_types SET scoring_rules = $1 WHERE name = 'quiz'", rules)
    await services.catalogue.refresh()
    _, lesson = await node.complete(token, "a-1")
    await node.complete(token, "a-2", "quiz", metadata={"x": 2})
    ada = (await services.directory.by_name("ada")).id
    undone = await corrections.reverse(services.pool, ADMIN, lesson["action_id"], "played by a script")
    await corrections.adjust(services.pool, services.catalogue, ADMIN, ada, 7, "lost in the crash", "t-1")
    rows = await whole_ledger(node, token)
    assert [(row["kind"], row["points"], row["reason"]) for row in rows] == [
        ("adjustment", 7, "lost in the crash"),
        ("reversal", -10, "played by a script"),
        ("completion", 50, "25 multiplied to 50"),
        ("completion", 10, None),
    ]
    assert (rows[1]["reverses"], rows[3]["reversed_by"]) == (lesson["action_id"], undone.action_id)
    assert (rows[2]["metadata"], rows[0]["action_type"]) == ({"x": 2}, None)
    _, page = await node.get("/api/me/ledger", token)
    assert page["score"] == page["sum"] == sum(row["points"] for row in rows) == 57


async def test_a_ledger_shows_its_owner_only(node: InProcessNode) -> None:
    ada, bob = await node.token(), await node.token()
    await node.complete(ada, "a-1")
    assert await whole_ledger(node, bob) == []
    status, problem = await node.get("/api/me/ledger?cursor=nonsense", bob)
    assert (status, problem["code"]) == (422, "invalid_request")
    assert (await node.get("/api/me/ledger"))[0] == 401


@pytest.mark.parametrize("count", [0, 1, 2_500])
async def test_an_export_holds_everything_however_much_it_is(node: InProcessNode, count: int) -> None:
    """Account, places, counters, sessions, and each row once: of the caller, and of no one else."""
    tokens = await node.register("ada")
    token = tokens["access_token"]
    await node.complete(await node.token("bob"), "b-1")
    for start in range(0, count, 1_000):
        items = [
            {"action_type": "lesson", "action_identifier": f"i-{n}", "metadata": {"n": n}}
            for n in range(start, min(count, start + 1_000))
        ]
        assert (await node.post("/api/actions/batch", {"actions": items}, token))[0] == 200
    status, data = await node.get("/api/me/export", token)
    assert status == 200
    assert data["user"]["username"] == "ada"
    assert [place["score"] for place in data["places"]] == [count * 10 or None] * 2
    assert [row["metadata"]["n"] for row in data["ledger"]] == list(range(count - 1, -1, -1))
    assert len(data["sessions"]) == 1
    assert [counter["total_count"] for counter in data["counters"]] == ([count] if count else [])
    assert "password" not in str(data)
    assert "token" not in str(data)


async def test_an_export_is_a_file_that_no_cache_keeps(node: InProcessNode) -> None:
    headers = {"Authorization": f"Bearer {await node.token()}"}
    async with node.http.get(f"{node.url}/api/me/export", headers=headers) as reply:
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["Content-Disposition"].startswith("attachment")
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
    async with node.http.head(f"{node.url}/api/me/export", headers=headers) as reply:
        assert (reply.status, await reply.read()) == (200, b"")


async def test_a_shadowed_user_finds_no_trace_of_it_in_the_export(node: InProcessNode) -> None:
    tokens = await node.register("ada")
    await node.complete(tokens["access_token"], "a-1")
    await sanctions.shadow(node.services.pool, ADMIN, tokens["user"]["id"], "under watch")
    await eventually(lambda: node.get("/api/scoreboard"), lambda seen: seen[1]["total_users"] == 0)
    _, data = await node.get("/api/me/export", tokens["access_token"])
    assert [place["rank"] for place in data["places"]] == [1, 1]
    assert "shadow" not in str(data)


async def test_who_is_erased_is_gone_and_what_rests_on_the_rows_stays(node: InProcessNode) -> None:
    """No name, address, metadata or log-in is left; ledger, frozen lists and others' ranks are what they were."""
    pool = node.services.pool
    ada = (
        await node.post("/api/auth/register", {"username": "ada", "password": PASSWORD, "email": "ada@example.test"})
    )[1]
    bob = await node.token("bob")
    await node.complete(ada["access_token"], "a-1", "quiz", metadata={"where": "at home"})
    await node.complete(bob, "b-1")
    await snapshots.take(pool, node.services.catalogue, node.parts.journal.node)
    status, _ = await delete(node, ada["access_token"], username="ada", password=PASSWORD)
    assert status == 204
    status, problem = await node.get("/api/me", ada["access_token"])
    assert (status, problem["code"]) == (403, "banned")
    assert (await node.post("/api/auth/refresh", {"refresh_token": ada["refresh_token"]}))[0] == 401
    assert (await node.post("/api/auth/login", {"username": "ada", "password": PASSWORD}))[0] == 401
    _, board = await eventually(lambda: node.get("/api/scoreboard"), lambda seen: seen[1]["total_users"] == 1)
    assert [(row["rank"], row["username"]) for row in board["rows"]] == [(1, "bob")]

    row = await pool.fetchrow("SELECT * FROM users WHERE id = $1", ada["user"]["id"])
    assert row["username"].startswith("gone-")
    assert [row[name] for name in ("email", "password_hash", "external_subject", "status")] == [
        None,
        None,
        None,
        "erased",
    ]
    kept = await pool.fetch("SELECT score_earned, metadata FROM actions WHERE user_id = $1", ada["user"]["id"])
    assert [tuple(one) for one in kept] == [(25, None)]
    frozen = await pool.fetch("SELECT top_scores FROM scoreboard_snapshots")
    assert len(frozen) == 2
    for (top,) in frozen:
        assert '"ada"' not in top
        assert [name in top for name in (row["username"], "bob", '"score": 25')] == [True] * 3
    audit = await pool.fetchrow("SELECT actor, act, subject FROM audit")
    assert tuple(audit) == (f"user:{ada['user']['id']}", "user.erase", f"user:{ada['user']['id']}")
    assert (await node.register("ada"))["user"]["id"] != ada["user"]["id"]


async def test_no_one_is_erased_by_a_slip_or_with_a_stolen_token(node: InProcessNode) -> None:
    """The name as it is written and the password; an account without a password has its name alone."""
    token = await node.token("Ada")
    wrong = [
        {"username": "ada", "password": PASSWORD},
        {"username": "Ada", "password": "another password"},
        {"username": "Ada"},
    ]
    for body in wrong:
        status, problem = await delete(node, token, **body)
        assert (status, problem["code"]) == (401, "credentials_wrong"), body
    assert (await delete(node, token))[0] == 422
    assert (await node.get("/api/me", token))[0] == 200
    await node.services.pool.execute("UPDATE users SET password_hash = NULL WHERE username = 'Ada'")
    assert (await delete(node, token, username="Ada"))[0] == 204


async def test_erasing_twice_is_erasing_once(node: InProcessNode) -> None:
    user_id = (await node.register())["user"]["id"]
    pool = node.services.pool
    assert await erasure.erase(pool, ADMIN, user_id, "asked by letter")
    name = await pool.fetchval("SELECT username FROM users WHERE id = $1", user_id)
    assert not await erasure.erase(pool, ADMIN, user_id, "asked by letter")
    assert await pool.fetchval("SELECT username FROM users WHERE id = $1", user_id) == name
    assert await pool.fetchval("SELECT count(*) FROM audit") == 1
