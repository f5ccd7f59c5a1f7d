"""Banned and shadowed users, as they and everybody else see it over HTTP."""

from __future__ import annotations

from typing import Any

from tests.support.node import InProcessNode
from tests.support.polling import eventually

from laurels.ledger.accounts import sanctions
from laurels.ledger.events.audit import Actor

ADMIN = Actor("operator:test")
PATHS = (
    "/api/scoreboard",
    "/api/boards/points?limit=2",
    "/api/boards/points-weekly",
    "/api/boards/points/rank/{name}",
    "/api/boards/points/around/{name}?radius=1",
    "/api/users/{name}",
    "/api/users/{name}/history",
    "/api/users?prefix={name}",
)


async def league(node: InProcessNode) -> dict[str, dict[str, Any]]:
    """ada 30, bob 20, eve 20 (later), zoe 10."""
    people = {name: await node.register(name) for name in ("ada", "bob", "eve", "zoe")}
    for name, count in (("ada", 3), ("bob", 2), ("eve", 2), ("zoe", 1)):
        for n in range(count):
            await node.complete(people[name]["access_token"], f"a-{n}")
    return people


async def seen(node: InProcessNode, name: str, token: str | None = None) -> list[Any]:
    """Every view of the boards, as one sees it."""
    views = []
    for path in PATHS:
        _, view = await node.get(path.format(name=name), token)
        views.append(timeless(view))
    return views


def timeless(view: Any) -> Any:
    """Without what changes from look to look."""
    if isinstance(view, list):
        return [timeless(item) for item in view]
    if not isinstance(view, dict):
        return view
    moving = ("seq", "epoch", "as_of", "request_id")
    return {key: timeless(value) for key, value in view.items() if key not in moving}


async def settled(node: InProcessNode, total: int) -> None:
    await eventually(lambda: node.get("/api/scoreboard"), lambda found: found[1]["total_users"] == total)


async def test_a_shadowed_user_sees_no_difference(node: InProcessNode) -> None:
    """The same boards, ranks and neighbours as before, and receipts with the rank they would have had."""
    people = await league(node)
    token = people["eve"]["access_token"]
    before = await seen(node, "eve", token)
    _, me_before = await node.get("/api/me", token)
    assert await sanctions.shadow(node.services.pool, ADMIN, people["eve"]["user"]["id"], "under watch")
    await settled(node, 3)
    assert await seen(node, "eve", token) == before
    _, me = await node.get("/api/me", token)
    assert [place["rank"] for place in me["places"]] == [place["rank"] for place in me_before["places"]] == [3, 3]
    status, receipt = await node.complete(token, "a-9", "quiz")
    assert (status, receipt["rank"], receipt["previous_rank"], receipt["entered_top"]) == (201, 1, 3, False)
    status, again = await node.complete(token, "a-9", "quiz")
    assert (status, again["rank"], again["previous_rank"], again["rank_state"]) == (200, 1, None, "exact")
    _, board = await node.get("/api/scoreboard", token)
    assert [(row["rank"], row["username"]) for row in board["rows"]][:2] == [(1, "eve"), (2, "ada")]


async def test_no_one_else_sees_or_counts_a_shadowed_user(node: InProcessNode) -> None:
    """Also right after the user went on playing, and also for who asks with another token."""
    people = await league(node)
    await sanctions.shadow(node.services.pool, ADMIN, people["bob"]["user"]["id"], None)
    await settled(node, 3)
    await node.complete(people["bob"]["access_token"], "a-9", "quiz")
    for token in (None, people["zoe"]["access_token"]):
        _, board = await node.get("/api/scoreboard", token)
        assert [(row["rank"], row["username"]) for row in board["rows"]] == [(1, "ada"), (2, "eve"), (3, "zoe")]
        _, place = await node.get("/api/boards/points/rank/bob", token)
        assert (place["rank"], place["score"], place["total_users"]) == (None, None, 3)
        status, problem = await node.get("/api/boards/points/around/bob", token)
        assert (status, problem["code"]) == (404, "user_unknown")
        _, found = await node.get("/api/users?prefix=bob", token)
        assert found["people"] == [{"username": "bob", "score": 0}]
        assert (await node.get("/api/users/bob", token))[1]["done"] == []
        _, history = await node.get("/api/users/bob/history", token)
        assert (history["days"], history["complete"]) == ([], True)
    _, receipt = await node.complete(people["zoe"]["access_token"], "a-9", "quiz")
    assert (receipt["rank"], receipt["previous_rank"]) == (1, 3)


async def test_lifting_restores_what_would_have_been(node: InProcessNode) -> None:
    """Shadowed, then banned, then lifted: the same views for everybody as if nothing had happened."""
    people = await league(node)
    before, pool, eve = await seen(node, "eve"), node.services.pool, people["eve"]["user"]["id"]
    for act in (sanctions.shadow, sanctions.ban, sanctions.ban):
        await act(pool, ADMIN, eve, "a test")
    await settled(node, 3)
    await sanctions.lift(pool, ADMIN, eve, "all clear")
    await settled(node, 4)
    assert await seen(node, "eve") == before
    acts = await pool.fetch("SELECT act, actor, subject, before, after, reason FROM audit ORDER BY id")
    assert [tuple(row) for row in acts] == [
        ("user.shadow", "operator:test", f"user:{eve}", '"active"', '"shadowed"', "a test"),
        ("user.ban", "operator:test", f"user:{eve}", '"shadowed"', '"banned"', "a test"),
        ("user.lift", "operator:test", f"user:{eve}", '"banned"', '"active"', "all clear"),
    ]


async def test_a_token_that_is_not_good_is_not_ignored(node: InProcessNode) -> None:
    """Boards are public, but a client that shows a token learns when it has expired; a key stands for no one."""
    for token in ("nonsense", "e30.e30.e30"):
        status, problem = await node.get("/api/scoreboard", token)
        assert (status, problem["code"]) == (401, "token_invalid")
    assert (await node.get("/api/scoreboard", "lk_unknown"))[0] == 200
    assert (await node.get("/api/scoreboard", Authorization="Basic eDp5"))[0] == 200


async def test_what_a_shadowed_user_sees_is_kept_by_no_cache(node: InProcessNode) -> None:
    people = await league(node)
    await sanctions.shadow(node.services.pool, ADMIN, people["eve"]["user"]["id"], None)
    await settled(node, 3)
    headers = {"Authorization": f"Bearer {people['eve']['access_token']}"}
    async with node.http.get(f"{node.url}/api/scoreboard", headers=headers) as reply:
        assert (reply.headers["Cache-Control"], reply.headers.get("ETag")) == ("no-store", None)
