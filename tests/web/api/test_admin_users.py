"""Users are found, and changed, by those who may; settings change on every node."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from tests.support.node import PASSWORD, InProcessNode, running_node
from tests.support.polling import eventually
from tests.web.admin import call, of_role, pages

from laurels.config import Settings

USERS = "/api/admin/users"


@pytest.fixture
async def admin(node: InProcessNode) -> str:
    return await of_role(node, "admin", "root")


async def names(node: InProcessNode, query: str, token: str, limit: int = 2) -> list[str]:
    return [user["username"] for user in await pages(node, f"{USERS}?{query}", token, "users", limit)]


async def test_users_are_found_by_what_is_known_of_them(node: InProcessNode, admin: str) -> None:
    """Prefix in any case, status, role and score; by age, name, or place on the board."""
    tokens = {name: await node.token(name) for name in ("Anna", "ANDY", "bob", "ann")}
    for name, count in {"Anna": 1, "bob": 3, "ann": 2}.items():
        for number in range(count):
            await node.complete(tokens[name], str(number))
    await node.services.pool.execute("UPDATE users SET status = 'banned' WHERE username = 'ANDY'")
    await node.services.pool.execute("UPDATE users SET role = 'moderator' WHERE username = 'bob'")
    assert await names(node, "", admin) == ["ann", "bob", "ANDY", "Anna", "root", "admin"]
    assert await names(node, "sort=name&prefix=AN", admin) == ["ANDY", "ann", "Anna"]
    assert await names(node, "prefix=an", admin) == ["ann", "ANDY", "Anna"]
    assert await names(node, "status=banned", admin) == ["ANDY"]
    assert await names(node, "role=moderator", admin) == ["bob"]
    assert await names(node, "sort=score", admin) == ["bob", "ann", "Anna"]
    assert await names(node, "sort=score&min_score=10&max_score=20", admin) == ["ann", "Anna"]
    assert await names(node, "prefix=%25", admin) == []
    assert (await node.get(f"{USERS}?min_score=10", admin))[1]["path"] == "$.sort"


@given(
    joins=st.lists(st.integers(0, 3), min_size=1, max_size=8),
    limit=st.integers(1, 5),
    sort=st.sampled_from(["newest", "name", "score"]),
)
@hypothesis_settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_users_who_join_while_pages_are_read_shift_no_one(
    node: InProcessNode, admin: str, joins: list[int], limit: int, sort: str
) -> None:
    """Keyset paging: who was there at the first page and did not move is shown exactly once."""
    await people(node, 6)
    there = {row["username"] for row in await pages(node, f"{USERS}?sort={sort}", admin, "users", 100)}
    seen: list[str] = []
    cursor, coming = "", iter(joins)
    while True:
        status, found = await node.get(f"{USERS}?sort={sort}&limit={limit}{cursor}", admin)
        assert status == 200
        seen += [user["username"] for user in found["users"]]
        if found["next"] is None:
            break
        cursor = f"&cursor={found['next']}"
        await people(node, next(coming, 0))
    assert there <= set(seen)
    assert len(seen) == len(set(seen))


_made = iter(range(1, 1_000_000))


async def people(node: InProcessNode, count: int) -> None:
    """New users with a standing, straight into the ledger: the lists read nothing else."""
    for _ in range(count):
        number = next(_made)
        name = f"{'abcdefgh'[number * 7 % 8]}-{number * 7919 % 1000}-{number}"
        user = await node.services.pool.fetchval(
            "INSERT INTO users (username, username_fold, username_skeleton) VALUES ($1, $1, $1) RETURNING id", name
        )
        await node.services.pool.execute(
            "INSERT INTO standings (window_id, user_id, score, sort_score, reached_at, version) "
            "SELECT id, $1, $2, ~$2::bigint, now(), 1 FROM windows WHERE starts_at IS NULL",
            user,
            number * 31 % 5,
        )


async def test_moderators_are_told_no_addresses(node: InProcessNode, admin: str) -> None:
    """They judge what people do, not who they are."""
    body = {"username": "ada", "password": PASSWORD, "email": "ada@example.org"}
    _, tokens = await node.post("/api/auth/register", body)
    ada = f"{USERS}/{tokens['user']['id']}"
    moderator = await of_role(node, "moderator")
    assert (await node.get(ada, admin))[1]["user"]["email"] == "ada@example.org"
    assert (await node.get(ada, moderator))[1]["user"]["email"] is None
    assert "example.org" not in str(await node.get(USERS, moderator))


async def test_a_role_takes_effect_and_is_audited(node: InProcessNode, admin: str) -> None:
    user = (await node.register("ada"))["user"]["id"]
    body = {"role": "moderator", "reason": "helps on weekends"}
    status, changed = await call(node, "PUT", f"{USERS}/{user}/role", admin, body)
    assert (status, changed["role"]) == (200, "moderator")
    _, trail = await node.get(f"/api/admin/audit?subject=user:{user}", admin)
    (entry,) = trail["entries"]
    assert (entry["act"], entry["before"], entry["after"]) == ("user.role", {"role": "player"}, {"role": "moderator"})
    assert entry["reason"] == "helps on weekends"


async def test_no_one_locks_everybody_out(node: InProcessNode, admin: str) -> None:
    """Not one's own role; and two admins who demote each other at the same moment leave one."""
    other = await of_role(node, "admin", "second")
    await node.services.pool.execute("UPDATE users SET role = 'player' WHERE username = 'admin'")
    ids = {row["username"]: row["id"] for row in await pages(node, f"{USERS}?role=admin", admin, "users", 10)}
    status, refused = await call(node, "PUT", f"{USERS}/{ids['root']}/role", admin, {"role": "player"})
    assert (status, refused["code"]) == (403, "forbidden")
    replies = await asyncio.gather(
        call(node, "PUT", f"{USERS}/{ids['second']}/role", admin, {"role": "player"}),
        call(node, "PUT", f"{USERS}/{ids['root']}/role", other, {"role": "player"}),
    )
    assert sorted(status for status, _ in replies) == [200, 403]
    assert await node.services.pool.fetchval("SELECT count(*) FROM users WHERE role = 'admin'") == 1


async def test_a_reset_password_is_shown_once_and_ends_every_session(node: InProcessNode, admin: str) -> None:
    ada = await node.register("ada")
    status, fresh = await node.post(f"{USERS}/{ada['user']['id']}/password", {}, admin)
    assert status == 200
    assert (await node.post("/api/auth/refresh", {"refresh_token": ada["refresh_token"]}))[0] == 401
    login = {"username": "ada", "password": PASSWORD}
    assert (await node.post("/api/auth/login", login))[0] == 401
    assert (await node.post("/api/auth/login", login | fresh))[0] == 200
    trail = await node.services.pool.fetchval("SELECT string_agg(a::text, '') FROM audit a")
    assert fresh["password"] not in trail


async def test_a_setting_is_followed_by_every_node(node: InProcessNode, settings: Settings, admin: str) -> None:
    """Changed on one, in force on the other within a second or so; null gives the environment its say again."""
    async with running_node(settings) as other:
        body = {"registration_open": False, "login_rate": 7, "reason": "an attack"}
        status, changed = await call(node, "PATCH", "/api/admin/settings", admin, body)
        assert status == 200
        by_name = {setting["name"]: setting for setting in changed["settings"]}
        assert (by_name["login_rate"]["value"], by_name["login_rate"]["default"]) == (7, settings.login_rate)
        assert by_name["login_rate"]["overridden"]

        async def register() -> tuple[int, Any]:
            return await other.post("/api/auth/register", {"username": f"p-{next(_made)}", "password": PASSWORD})

        _, refused = await eventually(register, lambda reply: reply[0] == 403)
        assert refused["code"] == "registration_closed"
        await eventually(register, lambda reply: reply[0] == 429)
        await call(node, "PATCH", "/api/admin/settings", admin, {"registration_open": None, "login_rate": None})
        await eventually(register, lambda reply: reply[0] == 201)
    _, trail = await node.get("/api/admin/audit?subject=settings", admin)
    assert [entry["after"] for entry in trail["entries"]] == [{}, {"login_rate": 7, "registration_open": False}]


async def test_settings_survive_a_restart(node: InProcessNode, settings: Settings, admin: str) -> None:
    await call(node, "PATCH", "/api/admin/settings", admin, {"frames_per_second": 3})
    async with running_node(settings) as later:
        assert later.services.live_settings.current.frames_per_second == 3
        assert later.services.hub._interval == pytest.approx(1 / 3)


async def test_a_setting_beyond_its_bounds_is_refused(node: InProcessNode, admin: str) -> None:
    status, refused = await call(node, "PATCH", "/api/admin/settings", admin, {"frames_per_second": 0})
    assert (status, refused["path"]) == (422, "$.frames_per_second")


async def test_live_numbers_are_what_is_measured(node: InProcessNode, admin: str) -> None:
    """Members per board, and a pace that sees the actions of the last seconds."""
    player = await node.token()

    async def stats() -> dict[str, Any]:
        await node.complete(player, str(next(_made)))
        status, found = await node.get("/api/admin/stats", admin)
        assert status == 200
        return found

    found = await eventually(stats, lambda seen: seen["actions_per_second"] > 0, within=10)
    assert found["members"] == {"points": 1, "points-weekly": 1}
    assert (found["queue_depth"], found["index_drift"]) == (0, 0)


async def test_a_body_whose_members_may_all_be_left_out_may_be_left_out(node: InProcessNode, admin: str) -> None:
    """With or without a media type; where a member is needed, an empty body is refused and told which."""
    user = (await node.register("ada"))["user"]["id"]
    url, headers = f"{node.url}{USERS}/{user}", {"Authorization": f"Bearer {admin}"}
    for media in ({}, {"Content-Type": "application/json"}):
        async with node.http.post(
            f"{url}/password", headers=headers | media, skip_auto_headers=["Content-Type"]
        ) as reply:
            assert (reply.status, list(await reply.json())) == (200, ["password"])
        async with node.http.put(f"{url}/role", headers=headers | media, skip_auto_headers=["Content-Type"]) as reply:
            problem = await reply.json(content_type=None)
            assert (reply.status, problem["code"]) == (400, "invalid_json")
            assert problem["detail"] == "The body is empty: send a JSON object with role."
