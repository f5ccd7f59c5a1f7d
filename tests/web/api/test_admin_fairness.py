"""Moderators review, undo and ban over HTTP; admins adjust and erase. All of it once, exact, and in the trail."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.support.node import InProcessNode
from tests.support.polling import eventually
from tests.web.admin import call, of_role, pages

USERS, ACTIONS = "/api/admin/users", "/api/admin/actions"
WHY = {"reason": "a test"}


@pytest.fixture
async def admin(node: InProcessNode) -> str:
    return await of_role(node, "admin", "root")


@pytest.fixture
async def moderator(node: InProcessNode) -> str:
    return await of_role(node, "moderator", "mod")


async def on_board(node: InProcessNode) -> dict[str, int]:
    _, board = await node.get("/api/scoreboard")
    return {row["username"]: row["score"] for row in board["rows"]}


async def hold(node: InProcessNode, action_id: int) -> None:
    """As a detector would have: nothing counted, waiting for a review."""
    async with node.services.pool.acquire() as connection, connection.transaction():
        await connection.execute("ALTER TABLE actions DISABLE TRIGGER actions_guard")
        await connection.execute("UPDATE actions SET status = 'held' WHERE id = $1", action_id)
        await connection.execute("ALTER TABLE actions ENABLE TRIGGER actions_guard")
        await connection.execute("INSERT INTO reviews VALUES ($1, 'fast', 'Too fast.')", action_id)


async def test_an_action_is_reversed_once_however_often_it_is_asked(node: InProcessNode, moderator: str) -> None:
    """Ten at once: one row, one score, one entry in the trail; the board follows."""
    ada = await node.token("ada")
    kept, undone = [(await node.complete(ada, f"a-{n}"))[1]["action_id"] for n in range(2)]
    replies = await asyncio.gather(*(node.post(f"{ACTIONS}/{undone}/reverse", WHY, moderator) for _ in range(10)))
    assert {status for status, _ in replies} == {200}
    (told,) = {(body["action_id"], body["points"], body["new_score"]) for _, body in replies}
    assert told[1:] == (-10, 10)
    assert sorted(body["replayed"] for _, body in replies) == [False] + [True] * 9
    await eventually(lambda: on_board(node), lambda scores: scores == {"ada": 10})
    acts = await node.services.pool.fetch("SELECT act, subject, reason FROM audit WHERE act NOT LIKE 'login.%'")
    assert [tuple(row) for row in acts] == [("action.reverse", f"action:{undone}", "a test")]
    assert (await node.post(f"{ACTIONS}/{kept + 999}/reverse", WHY, moderator))[1]["code"] == "action_unknown"


async def test_held_actions_are_listed_and_decided(node: InProcessNode, moderator: str) -> None:
    """Oldest first, by user and by what looked wrong; decided once, in one way."""
    tokens = {name: await node.register(name) for name in ("ada", "bob")}
    ids: list[int] = []
    for name in ("ada", "bob", "ada"):
        _, receipt = await node.complete(tokens[name]["access_token"], f"h-{len(ids)}")
        await hold(node, receipt["action_id"])
        ids.append(receipt["action_id"])
    rows = await pages(node, "/api/admin/review", moderator, "actions", 2)
    assert [row["action_id"] for row in rows] == ids
    assert (rows[0]["username"], rows[0]["code"], rows[0]["detail"]) == ("ada", "fast", "Too fast.")
    bob = tokens["bob"]["user"]["id"]
    of_bob = await pages(node, f"/api/admin/review?user_id={bob}", moderator, "actions", 9)
    assert [row["action_id"] for row in of_bob] == [ids[1]]
    assert await pages(node, "/api/admin/review?code=other", moderator, "actions", 9) == []
    assert (await node.post(f"{ACTIONS}/{ids[0]}/approve", WHY, moderator))[1]["status"] == "awarded"
    assert (await node.post(f"{ACTIONS}/{ids[0]}/approve", WHY, moderator))[1]["replayed"]
    assert (await node.post(f"{ACTIONS}/{ids[0]}/reject", WHY, moderator))[1]["code"] == "not_held"
    assert (await node.post(f"{ACTIONS}/{ids[1]}/reject", WHY, moderator))[1]["status"] == "rejected"
    assert [r["action_id"] for r in await pages(node, "/api/admin/review", moderator, "actions", 9)] == [ids[2]]


async def test_a_ban_takes_a_user_off_every_board_and_a_lift_puts_them_back(
    node: InProcessNode, moderator: str
) -> None:
    ada = await node.register("ada")
    await node.complete(ada["access_token"], "a-1")
    path = f"{USERS}/{ada['user']['id']}/status"
    status, done = await call(node, "PUT", path, moderator, {"status": "banned"} | WHY)
    assert (status, done["changed"]) == (200, True)
    await eventually(lambda: on_board(node), lambda scores: scores == {})
    assert (await call(node, "PUT", path, moderator, {"status": "banned"} | WHY))[1]["changed"] is False
    await call(node, "PUT", path, moderator, {"status": "active"} | WHY)
    await eventually(lambda: on_board(node), lambda scores: scores == {"ada": 10})
    assert (await call(node, "PUT", path, moderator, {"status": "erased"} | WHY))[0] == 422
    assert (await call(node, "PUT", path, moderator, {"status": "banned"}))[1]["code"] == "invalid_request"


async def test_moderators_judge_players_only(node: InProcessNode, admin: str, moderator: str) -> None:
    """Not themselves, not each other, not admins; an admin may judge a moderator."""
    ids = {user["username"]: user["id"] for user in await pages(node, USERS, admin, "users", 50)}
    ban = {"status": "banned"} | WHY
    for name, token in (("mod", moderator), ("root", moderator), ("admin", moderator), ("root", admin)):
        status, refused = await call(node, "PUT", f"{USERS}/{ids[name]}/status", token, ban)
        assert (status, refused["code"]) == (403, "forbidden"), name
    assert (await call(node, "PUT", f"{USERS}/{ids['mod']}/status", admin, ban))[0] == 200


async def test_an_adjustment_is_a_row_with_its_reason(node: InProcessNode, admin: str) -> None:
    """Once under its identifier; the ledger explains the score, and adds up to it."""
    ada = await node.register("ada")
    await node.complete(ada["access_token"], "a-1")
    path, body = f"{USERS}/{ada['user']['id']}/adjust", {"points": -3, "adjustment_identifier": "x"} | WHY
    assert (await node.post(path, body, admin))[1]["new_score"] == 7
    assert (await node.post(path, body, admin))[1]["replayed"]
    assert (await node.post(path, body | {"points": 5}, admin))[1]["code"] == "identifier_conflict"
    rows = await pages(node, f"{USERS}/{ada['user']['id']}/ledger", admin, "rows", 1)
    assert [(row["kind"], row["counted"], row["reason"]) for row in rows] == [
        ("adjustment", -3, "a test"),
        ("completion", 10, None),
    ]
    _, ledger = await node.get(f"{USERS}/{ada['user']['id']}/ledger", admin)
    assert (ledger["score"], ledger["total"]) == (7, 7)


async def test_erasing_asks_for_the_name(node: InProcessNode, admin: str) -> None:
    """Another's name erases no one; done, the person is gone and the others' ranks stay."""
    people = {name: await node.register(name) for name in ("ada", "bob")}
    for name in people:
        await node.complete(people[name]["access_token"], "a-1")
    path = f"{USERS}/{people['ada']['user']['id']}/erase"
    assert (await node.post(path, {"username": "bob"}, admin))[1]["path"] == "$.username"
    status, done = await node.post(path, {"username": "ADA", "reason": "asked for it"}, admin)
    assert (status, done["status"]) == (200, "erased")
    await eventually(lambda: on_board(node), lambda scores: scores == {"bob": 10})
    assert (await node.get(f"{USERS}/{people['ada']['user']['id']}", admin))[1]["code"] == "user_unknown"
    trail: Any = await node.services.pool.fetchval("SELECT string_agg(a::text, '') FROM audit a")
    assert "ada" not in trail
