"""A node on Redis: what it answers and says of itself while Redis is there, gone, and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from tests.support.node import InProcessNode, running_node
from tests.support.polling import eventually
from tests.support.redis import RedisServer
from tests.web.admin import of_role

from laurels.config import Settings

BACK_WITHIN = 10.0


@pytest.fixture
async def shared(settings: Settings, own_redis: RedisServer) -> AsyncIterator[InProcessNode]:
    async with running_node(replace(settings, redis_url=own_redis.url)) as node:
        yield node


async def test_a_fresh_node_is_exact_at_once(shared: InProcessNode) -> None:
    status, receipt = await shared.complete(await shared.token(), "a")
    assert (status, receipt["rank"], receipt["rank_state"], receipt["entered_top"]) == (201, 1, "exact", True)
    await eventually(lambda: shared.get("/readyz"), lambda seen: seen[1]["degraded"] == [])


async def test_without_redis_a_node_serves_from_the_ledger_and_says_so(
    shared: InProcessNode, own_redis: RedisServer
) -> None:
    token = await shared.token("ann")
    await shared.complete(token, "a")
    own_redis.kill()
    status, receipt = await shared.complete(token, "b")
    assert (status, receipt["rank_state"], receipt["entered_top"]) == (201, "rebuilding", False)
    assert (receipt["rank"], receipt["previous_rank"], receipt["seq"]) == (1, None, None)
    for path in ("/api/scoreboard", "/api/boards/points/rank/ann", "/api/boards/points/around/ann"):
        status, answer = await shared.get(path)
        assert (status, answer["rank_state"], answer["epoch"]) == (200, "rebuilding", "ledger"), path

    async def readiness() -> tuple[int, Any]:
        return await shared.get("/readyz")

    away = ["redis: no answer, ranks are counted in the ledger"]
    status, _ = await eventually(readiness, lambda seen: seen[1]["degraded"] == away)
    assert status == 200
    own_redis.start()
    await eventually(readiness, lambda seen: seen[1]["degraded"] == [], within=BACK_WITHIN)
    _, board = await shared.get("/api/scoreboard")
    assert (board["rank_state"], board["rows"][0]["score"]) == ("exact", 20)


async def test_the_operator_can_verify_and_rebuild_the_shared_index(
    shared: InProcessNode, own_redis: RedisServer
) -> None:
    """Drift made by hand is reported, and gone after a rebuild, which makes a new epoch."""
    admin = await of_role(shared, "admin")
    for n in range(5):
        await shared.complete(await shared.token(), f"{n}")
    status, report = await shared.post("/api/admin/index/verify", {}, admin)
    assert (status, {window["drift"] for window in report["windows"]}) == (200, {0})
    await shared.services.pool.execute("UPDATE standings SET score = 7, sort_score = ~7 WHERE user_id = 3")
    _, report = await shared.post("/api/admin/index/verify", {}, admin)
    assert sum(window["drift"] for window in report["windows"]) > 0
    _, before = await shared.get("/api/scoreboard")
    _, report = await shared.post("/api/admin/index/rebuild", {}, admin)
    assert {window["drift"] for window in report["windows"]} == {0}
    _, after = await shared.get("/api/scoreboard")
    assert after["epoch"] != before["epoch"]
    assert after["rank_state"] == "exact"
