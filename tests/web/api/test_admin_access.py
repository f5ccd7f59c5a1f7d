"""Every route below /api/admin refuses each caller who is not named for it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.node import InProcessNode
from tests.web.admin import call, of_role

from laurels.web.api.routes import ROUTES
from laurels.web.pipeline.route import Route

ADMIN = [route for route in ROUTES if route.path.startswith("/api/admin/")]

BODIES: dict[str, Any] = {
    "create_action_type": {"name": "run", "base_score": 1},
    "edit_action_type": {"version": 1, "base_score": 1_000},
    "try_action_type": {"username": "admin"},
    "create_board": {"slug": "mine", "name": "Mine"},
    "edit_board": {"version": 1, "name": "Mine"},
    "approve_action": {"reason": "mine"},
    "reject_action": {"reason": "mine"},
    "reverse_action": {"reason": "mine"},
    "set_user_status": {"status": "banned", "reason": "mine"},
    "adjust_user": {"points": 9, "adjustment_identifier": "x", "reason": "mine"},
    "erase_user": {"username": "admin"},
    "set_user_role": {"role": "admin"},
    "reset_user_password": {},
    "edit_settings": {"user_rate": 1},
    "create_key": {"name": "mine", "scopes": ["keys:write"]},
    "rotate_key": {},
    "revoke_key": {},
}
"""A body that would be taken, for every admin route that takes one."""
PLACES = {"{name}": "lesson", "{slug}": "points", "{user_id}": "1", "{id}": "1", "{action_id}": "1"}
FOR_MODERATORS = {
    *("list_users", "get_user", "get_user_ledger", "get_stats", "list_held"),
    *("approve_action", "reject_action", "reverse_action", "set_user_status"),
}
"""Grows with the routes: a route that lets moderators in is named here."""


def target(route: Route) -> str:
    path = route.path
    for place, value in PLACES.items():
        path = path.replace(place, value)
    assert "{" not in path, f"say in PLACES what stands for the place in {path}"
    return path


async def ask(node: InProcessNode, route: Route, token: str | None) -> tuple[int, Any]:
    assert (route.body is None) == (route.name not in BODIES), f"a body for {route.name} belongs into BODIES"
    return await call(node, route.method, target(route), token, BODIES.get(route.name))


def test_every_admin_route_names_a_role() -> None:
    """Public and merely logged in are not enough below /api/admin."""
    assert {route.access for route in ADMIN} <= {"moderator", "admin"}
    assert {route.name for route in ADMIN if route.access == "moderator"} == FOR_MODERATORS


async def test_without_the_role_every_admin_route_is_closed(node: InProcessNode) -> None:
    """No token 401; a player 403; a moderator 403 where only admins may. And nothing was done."""
    tokens = {"anonymous": None, "player": await node.token(), "moderator": await of_role(node, "moderator")}
    before = await state(node)
    for route in ADMIN:
        for who, token in tokens.items():
            if who == route.access:
                continue
            status, refused = await ask(node, route, token)
            expected = (401, "token_missing") if token is None else (403, "forbidden")
            assert (status, refused["code"]) == expected, (who, route.method, route.path)
    assert await state(node) == before


async def state(node: InProcessNode) -> list[Any]:
    tables = ("action_types", "boards", "users", "settings", "audit", "api_keys")
    return [await node.services.pool.fetch(f"SELECT t::text FROM {table} t ORDER BY 1") for table in tables]


async def test_a_role_that_was_taken_back_opens_nothing(node: InProcessNode) -> None:
    """The token still says admin; the ledger is asked."""
    token = await of_role(node, "admin", "was-admin")
    await node.services.pool.execute("UPDATE users SET role = 'player' WHERE username = 'was-admin'")
    for route in ADMIN:
        status, refused = await ask(node, route, token)
        assert (status, refused["code"]) == (403, "forbidden"), route.path


async def test_no_request_can_give_itself_more_than_its_schema(node: InProcessNode) -> None:
    """Mass assignment: a member that is not in the schema is refused wherever it is put, and nothing is written."""
    admin, player = await of_role(node, "admin"), await node.token("mallory")
    before = await state(node)
    smuggled = [
        (node.post("/api/auth/register", {"username": "mal2", "password": "correct horse battery", "role": "admin"})),
        (node.post("/api/actions/complete", {"action_type": "lesson", "action_identifier": "1", "score": 9}, player)),
        (call(node, "PATCH", "/api/admin/action-types/lesson", admin, {"version": 1, "id": 7})),
        (call(node, "PATCH", "/api/admin/action-types/lesson", admin, {"version": 1, "name": "other"})),
        (call(node, "PATCH", "/api/admin/boards/points", admin, {"version": 1, "is_default": False})),
        (call(node, "PUT", "/api/admin/users/1/role", admin, {"role": "admin", "status": "active"})),
        (call(node, "PATCH", "/api/admin/settings", admin, {"database_url": "x"})),
    ]
    for reply in smuggled:
        status, refused = await reply
        assert (status, refused["code"]) == (422, "invalid_request")
    assert await state(node) == before


@pytest.mark.parametrize("path", ["/api/me", "/api/receipts/a-1"])
async def test_what_is_mine_is_found_by_my_token_alone(node: InProcessNode, path: str) -> None:
    """IDOR: no address shows more of a user than the public sees; another's receipt is not there."""
    ada, eve = await node.token("ada"), await node.token("eve")
    await node.complete(ada, "a-1")
    status, mine = await node.get(path, ada)
    assert status == 200
    status, hers = await node.get(path, eve)
    assert "a-1" not in str(hers) or status == 404
    assert mine != hers
