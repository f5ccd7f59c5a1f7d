"""No node answers without what another has acknowledged: two servers as processes, asked at once.

Nothing is polled here: the first answer after the acknowledgement must be right.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
from tests.nodes.scenario import BOUND, SLACK
from tests.support.node import PASSWORD
from tests.support.polling import eventually
from tests.support.redis import RedisServer
from tests.support.server import LaurelsServer

ROUNDS = 5
READERS = 50
_names = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Side:
    """One node, spoken to over HTTP."""

    url: str
    http: aiohttp.ClientSession

    async def ask(self, method: str, path: str, token: str = "", body: Any = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with (
            asyncio.timeout(BOUND + SLACK),
            self.http.request(method, self.url + path, json=body, headers=headers) as reply,
        ):
            return reply.status, await reply.json(content_type=None)

    async def done(self, method: str, path: str, token: str = "", body: Any = None) -> Any:
        """The answer to what must not be refused."""
        status, answer = await self.ask(method, path, token, body)
        assert status in (200, 201), f"{path}: {answer}"
        return answer

    async def told(self, path: str) -> tuple[int, Any]:
        """The first answer that is no 503: while Redis is away few ranks are counted at once."""
        return await eventually(lambda: self.ask("GET", path), lambda answer: answer[0] != 503, within=20)

    async def register(self) -> tuple[str, str, int]:
        """(name, token, id) of a fresh player."""
        name = f"player-{next(_names)}"
        told = await self.done("POST", "/api/auth/register", body={"username": name, "password": PASSWORD})
        return name, told["access_token"], told["user"]["id"]

    async def complete(self, token: str, kind: str = "lesson") -> tuple[int, Any]:
        body = {"action_type": kind, "action_identifier": f"x-{next(_names)}"}
        return await self.ask("POST", "/api/actions/complete", token, body)

    async def on_board(self, name: str) -> dict[str, Any] | None:
        """The row of a player among the first hundred."""
        board = await self.done("GET", "/api/scoreboard?limit=100")
        return next((row for row in board["rows"] if row["username"] == name), None)

    async def cache(self, name: str) -> dict[str, float]:
        """Outcomes of one cache so far."""
        told = await self.metrics(f'laurels_cache_requests_total{{cache="{name}"')
        return {line.split('outcome="')[1].split('"')[0]: value for line, value in told.items()}

    async def metrics(self, beginning: str) -> dict[str, float]:
        async with self.http.get(f"{self.url}/metrics") as reply:
            lines = (await reply.text()).splitlines()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(beginning)}


@dataclass(frozen=True, slots=True)
class Pair:
    """The node where things are done, and the one where they are looked at; `admin` is a token."""

    here: Side
    there: Side
    admin: str
    redis: RedisServer
    database_url: str

    async def admins(self, method: str, path: str, body: Any) -> Any:
        return await self.here.done(method, path, self.admin, body)


@dataclass(frozen=True, slots=True)
class Servers:
    here: LaurelsServer
    there: LaurelsServer
    redis: RedisServer


@pytest.fixture(scope="module")
def servers(postgres: str) -> Iterator[Servers]:
    """Two nodes of one service, for all tests here: what a test does to them it undoes."""
    name = f"stale{os.getpid()}"
    asyncio.run(_create(postgres, name))
    database_url = postgres.replace("/postgres?", f"/{name}?")
    with tempfile.TemporaryDirectory(prefix="laurels-tests-") as text:
        folder = Path(text)
        redis = RedisServer(folder)
        redis.start()
        both = [LaurelsServer(database_url, folder / f"{n}.log", REDIS_URL=redis.url) for n in range(2)]
        try:
            with ThreadPoolExecutor() as threads:
                list(threads.map(LaurelsServer.start, both))
            yield Servers(both[0], both[1], redis)
        finally:
            for server in both:
                server.kill()
            redis.kill()


async def _create(url: str, name: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE laurels_template")
    await connection.close()


@pytest.fixture
async def pair(servers: Servers) -> AsyncIterator[Pair]:
    async with aiohttp.ClientSession() as http:
        here, there = Side(servers.here.url, http), Side(servers.there.url, http)
        for side in (here, there):
            await eventually(partial(side.done, "GET", "/readyz"), lambda told: not told["degraded"], within=20)
        database_url = servers.here.database_url
        yield Pair(here, there, await _an_admin(here, database_url), servers.redis, database_url)


async def _an_admin(side: Side, database_url: str) -> str:
    name, _, user_id = await side.register()
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE users SET role = 'admin' WHERE id = $1", user_id)
    await connection.close()
    told = await side.done("POST", "/api/auth/login", body={"username": name, "password": PASSWORD})
    return str(told["access_token"])


async def test_a_score_is_seen_elsewhere_at_once(pair: Pair) -> None:
    """Earned, given by hand, and undone."""
    name, token, user_id = await pair.here.register()
    for turn in range(ROUNDS):
        status, receipt = await pair.here.complete(token)
        assert status == 201
        place = await pair.there.done("GET", f"/api/boards/points/rank/{name}")
        assert (place["score"], place["rank"]) == (receipt["new_score"], receipt["rank"])
        given = {"points": 5, "reason": "found a bug", "adjustment_identifier": f"bug-{turn}"}
        told = await pair.admins("POST", f"/api/admin/users/{user_id}/adjust", given)
        row = await pair.there.on_board(name)
        assert row is not None
        assert row["score"] == told["new_score"]
        told = await pair.admins("POST", f"/api/admin/actions/{receipt['action_id']}/reverse", {"reason": "made up"})
        place = await pair.there.done("GET", f"/api/boards/points/rank/{name}")
        assert place["score"] == told["new_score"]


async def test_a_ban_is_in_force_elsewhere_at_once(pair: Pair) -> None:
    """Off the board, not found by name, the token no longer taken; and back on the board when the ban is lifted."""
    for _ in range(ROUNDS):
        name, token, user_id = await pair.here.register()
        assert (await pair.there.complete(token))[0] == 201
        assert await pair.there.on_board(name) is not None
        assert (await pair.there.ask("GET", f"/api/boards/points/rank/{name}"))[0] == 200
        status = f"/api/admin/users/{user_id}/status"
        await pair.admins("PUT", status, {"status": "banned", "reason": "a bot"})
        assert await pair.there.on_board(name) is None
        assert (await pair.there.ask("GET", f"/api/boards/points/rank/{name}"))[0] == 404
        refused = await pair.there.ask("GET", "/api/me", token)
        assert (refused[0], refused[1]["code"]) == (403, "banned")
        await pair.admins("PUT", status, {"status": "active", "reason": "a mistake"})
        assert await pair.there.on_board(name) is not None
        refused = await pair.there.ask("GET", "/api/me", token)
        assert (refused[0], refused[1]["code"]) == (401, "token_invalid")


async def test_a_changed_action_type_counts_elsewhere_at_once(pair: Pair) -> None:
    _, token, _ = await pair.there.register()
    made = await pair.admins("POST", "/api/admin/action-types", {"name": "sprint", "base_score": 1, "reason": "new"})
    for score in range(1, ROUNDS + 1):
        status, receipt = await pair.there.complete(token, "sprint")
        assert (status, receipt["score_earned"]) == (201, score)
        change = {"version": made["version"], "base_score": score + 1, "reason": "worth more"}
        made = await pair.admins("PATCH", "/api/admin/action-types/sprint", change)
        listed = await pair.there.done("GET", "/api/action-types")
        assert score + 1 in [one["base_score"] for one in listed["action_types"] if one["name"] == "sprint"]
    change = {"version": made["version"], "is_active": False, "reason": "over"}
    await pair.admins("PATCH", "/api/admin/action-types/sprint", change)
    status, refusal = await pair.there.complete(token, "sprint")
    assert (status, refusal["code"]) == (422, "action_type_inactive")


async def test_a_changed_board_is_shown_elsewhere_at_once(pair: Pair) -> None:
    board = await pair.there.done("GET", "/api/scoreboard")
    version = (await pair.admins("GET", f"/api/admin/boards/{board['board']}", None))["version"]
    for turn in range(ROUNDS):
        change = {"version": version, "name": f"Points {turn}", "reason": "a better name"}
        version = (await pair.admins("PATCH", f"/api/admin/boards/{board['board']}", change))["version"]
        assert (await pair.there.done("GET", "/api/scoreboard"))["name"] == f"Points {turn}"


async def test_of_many_readers_one_loads(pair: Pair) -> None:
    """Fifty ask for a board that has just moved: it is made once."""
    _, token, _ = await pair.here.register()
    for _ in range(ROUNDS):
        before = await pair.there.cache("scoreboards")
        assert (await pair.here.complete(token))[0] == 201
        boards = await asyncio.gather(*(pair.there.done("GET", "/api/scoreboard?limit=37") for _ in range(READERS)))
        assert {board["seq"] for board in boards} == {boards[0]["seq"]}
        after = await pair.there.cache("scoreboards")
        outcomes = {name: after[name] - before[name] for name in after}
        assert outcomes["miss"] + outcomes["stale"] == 1, outcomes
        assert outcomes["hit"] + outcomes["joined"] == READERS - 1, outcomes


async def test_what_has_not_changed_is_read_without_the_ledger(pair: Pair) -> None:
    """Boards, ranks and neighbours by name, action types: not one statement more, however often."""
    name, token, _ = await pair.here.register()
    assert (await pair.here.complete(token))[0] == 201
    paths = [
        *("/api/scoreboard", "/api/boards/points-weekly", "/api/boards", "/api/action-types"),
        *(f"/api/boards/points/{what}/{name}" for what in ("rank", "around")),
    ]
    for path in paths:
        await pair.there.done("GET", path)
    before, names = await _asked_of_the_ledger(pair.there), await pair.there.cache("names")
    for _ in range(ROUNDS):
        for path in paths:
            await pair.there.done("GET", path)
    assert await _asked_of_the_ledger(pair.there) == before
    assert (await pair.there.cache("names"))["hit"] == names["hit"] + 2 * ROUNDS


async def _asked_of_the_ledger(side: Side) -> dict[str, float]:
    return await side.metrics("laurels_ledger_reads_total") | await side.metrics("laurels_index_fallback_reads_total")


async def test_a_ban_reaches_into_windows_that_are_over(pair: Pair) -> None:
    """Their top lists are kept for a minute, but not beyond what changes them."""
    name, token, user_id = await pair.here.register()
    assert (await pair.here.complete(token))[0] == 201
    connection = await asyncpg.connect(pair.database_url)
    week = await connection.fetchval(_LAST_WEEK)
    await connection.execute(_ITS_STANDING, week, user_id)
    await connection.close()
    path = f"/api/boards/points-weekly/windows/{week}"
    hits = (await pair.there.cache("archive"))["hit"]
    for _ in range(2):
        assert [row["username"] for row in (await pair.there.done("GET", path))["rows"]] == [name]
    assert (await pair.there.cache("archive"))["hit"] == hits + 1
    change = {"status": "banned", "reason": "a bot"}
    await pair.admins("PUT", f"/api/admin/users/{user_id}/status", change)
    assert (await pair.there.done("GET", path))["rows"] == []


_LAST_WEEK = """
INSERT INTO windows (board_id, starts_at, ends_at)
SELECT board_id, starts_at - interval '7 days', starts_at FROM windows w JOIN boards b ON b.id = w.board_id
WHERE b.slug = 'points-weekly' ORDER BY starts_at LIMIT 1 RETURNING id"""
_ITS_STANDING = """
INSERT INTO standings (window_id, user_id, score, sort_score, reached_at, version) VALUES ($1, $2, 7, ~7, now(), 1)"""


async def test_without_redis_nothing_stale_is_answered_either(pair: Pair) -> None:
    """Ranks are counted in the ledger, a few at once: some are refused for now, none is answered with the past."""
    name, token, user_id = await pair.here.register()
    rank = f"/api/boards/points/rank/{name}"
    await asyncio.to_thread(pair.redis.kill)
    try:
        for _ in range(2):
            status, receipt = await pair.here.complete(token)
            assert status == 201
            answers = await asyncio.gather(*(pair.there.told(rank) for _ in range(READERS // 10)))
            assert {answer["score"] for _, answer in answers} == {receipt["new_score"]}
            _, board = await pair.there.told("/api/scoreboard?limit=100")
            assert [row["score"] for row in board["rows"] if row["username"] == name] == [receipt["new_score"]]
        await pair.admins("PUT", f"/api/admin/users/{user_id}/status", {"status": "banned", "reason": "a bot"})
        _, board = await pair.there.told("/api/scoreboard?limit=100")
        assert name not in {row["username"] for row in board["rows"]}
        assert (await pair.there.told(rank))[0] == 404
    finally:
        await asyncio.to_thread(pair.redis.start)
