"""Promises of acting on others: every operators' route, tried by every role and every key on every kind of target."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.support.keys import key_on
from tests.support.node import PASSWORD, InProcessNode
from tests.support.polling import eventually
from tests.web.admin import call, of_role

from laurels.domain.authorization import SCOPES, Scope
from laurels.domain.errors import Code, LaurelsError
from laurels.ledger.accounts import erasure, sanctions
from laurels.ledger.corrections import corrections, review
from laurels.ledger.events.audit import Actor
from laurels.web.api.routes import ROUTES
from laurels.web.auth.authenticate import scope_for
from laurels.web.pipeline.route import Route

WHY = {"reason": "a test"}
CHANGING = [route for route in ROUTES if route.access in ("moderator", "admin") and route.method != "GET"]
ON_ACCOUNTS: dict[str, Any] = {
    "approve_action": WHY,
    "reject_action": WHY,
    "reverse_action": WHY,
    "set_user_status": {"status": "shadowed"} | WHY,
    "adjust_user": {"points": 1, "adjustment_identifier": "x"} | WHY,
    "erase_user": WHY,
    "set_user_role": {"role": "moderator"},
    "reset_user_password": {},
}
"""Routes that act on an account or on its actions, with a body that does something."""
ON_THE_SERVICE = {
    *("create_action_type", "edit_action_type", "try_action_type", "create_board", "edit_board"),
    *("edit_settings", "create_key", "rotate_key", "revoke_key", "verify_index", "rebuild_index"),
}
MODERATORS_MAY = {"approve_action", "reject_action", "reverse_action", "set_user_status"}
ON_ACTIONS = {"approve_action", "reject_action", "reverse_action"}
TARGETS = ("self", "player", "moderator", "admin", "erased", "unknown")
_numbers = itertools.count(1)


@dataclass
class Stage:
    """A node, and callers: their token, their role (None: a key), their id, and the scopes of a key."""

    node: InProcessNode
    callers: dict[str, tuple[str, str | None, int]] = field(default_factory=dict)
    scopes: dict[str, set[Scope]] = field(default_factory=dict)

    async def person(self, role: str, *, status: str = "active") -> int:
        name = f"target-{next(_numbers)}"
        return int(
            await self.node.services.pool.fetchval(
                "INSERT INTO users (username, username_fold, username_skeleton, role, status) "
                "VALUES ($1, $1, $1, $2, $3) RETURNING id",
                name,
                role,
                status,
            )
        )

    async def action_of(self, user_id: int, *, held: bool) -> int:
        """An awarded row, or one that waits for a review, as a detector leaves it."""
        pool = self.node.services.pool
        action: int = await pool.fetchval(
            "INSERT INTO actions (user_id, action_type_id, action_identifier, score_earned, new_score, status, "
            "fingerprint, batch_id, completed_at, created_at) "
            "SELECT $1, min(id), $2, 1, 1, $3, 0, 0, now(), now() FROM action_types RETURNING id",
            user_id,
            f"a-{next(_numbers)}",
            "held" if held else "awarded",
        )
        if held:
            await pool.execute("INSERT INTO reviews VALUES ($1, 'fast', 'Too fast.')", action)
        return action

    async def state(self) -> list[Any]:
        tables = ("users", "actions", "reviews", "audit", "refresh_tokens")
        return [await self.node.services.pool.fetch(f"SELECT t::text FROM {table} t ORDER BY 1") for table in tables]


@pytest.fixture
async def stage(node: InProcessNode) -> Stage:
    stage = Stage(node)
    for role in ("player", "moderator", "admin"):
        token = await of_role(node, role, f"a-{role}")
        user_id = await node.services.pool.fetchval("SELECT id FROM users WHERE username = $1", f"a-{role}")
        stage.callers[role] = (token, role, user_id)
    for scope in SCOPES:
        stage.callers[f"key with {scope}"] = ((await key_on(node, scope))[1], None, 0)
        stage.scopes[f"key with {scope}"] = {scope}
    stage.callers["key with all"] = ((await key_on(node, *SCOPES))[1], None, 0)
    stage.scopes["key with all"] = set(SCOPES)
    return stage


def test_every_changing_route_of_operators_is_known_here() -> None:
    """A new route belongs into one of the two lists, and names the scope that opens it to keys, or none."""
    assert {route.name for route in CHANGING} == set(ON_ACCOUNTS) | ON_THE_SERVICE
    assert {route.name for route in CHANGING if scope_for(route) is None} == {"set_user_role"}
    assert {route.name for route in ROUTES if route.scope and route not in CHANGING} == set()
    assert {scope for route in CHANGING if (scope := scope_for(route))} == set(SCOPES) - {"actions:write", "admin:read"}


def allowed(route: Route, stage: Stage, caller: str, target: str) -> bool:
    """The rules, said once more in other words."""
    role = stage.callers[caller][1]
    if role is None:
        return route.scope in stage.scopes[caller] and target in ("player", "erased", "unknown")
    if target == "self" or role == "player":
        return False
    if role == "moderator":
        return route.name in MODERATORS_MAY and target in ("player", "erased", "unknown")
    return True


async def attempt(stage: Stage, route: Route, caller: str, target: str) -> tuple[bool, int, Any]:
    """(whether anything changed, status, answer) of one request to a fresh target."""
    token, _, own = stage.callers[caller]
    user_id = await _target(stage, target, own)
    path = route.path.replace("{user_id}", str(user_id))
    if route.name in ON_ACTIONS:
        unknown = target == "unknown"
        action = 2**40 if unknown else await stage.action_of(user_id, held=route.name != "reverse_action")
        path = path.replace("{action_id}", str(action))
    body = dict(ON_ACCOUNTS[route.name])
    if route.name == "erase_user":
        name = await stage.node.services.pool.fetchval("SELECT username FROM users WHERE id = $1", user_id)
        body["username"] = name or "stranger"
    before = await stage.state()
    status, answer = await call(stage.node, route.method, path, token, body)
    return await stage.state() != before, status, answer


async def _target(stage: Stage, target: str, own: int) -> int:
    if target == "self":
        return own
    if target == "unknown":
        return 2**40
    return await stage.person("player", status="erased") if target == "erased" else await stage.person(target)


@pytest.mark.parametrize("name", ON_ACCOUNTS)
async def test_each_acts_on_whom_they_may_and_on_no_one_else(stage: Stage, name: str) -> None:
    """Refused: 403 and nothing written. Not refused: it is done, or the target is not there."""
    (route,) = [route for route in CHANGING if route.name == name]
    for caller, target in itertools.product(stage.callers, TARGETS):
        if target == "self" and stage.callers[caller][1] is None:
            continue
        changed, status, answer = await attempt(stage, route, caller, target)
        case = (name, caller, target, status, answer)
        if not allowed(route, stage, caller, target):
            assert (status, answer["code"]) == (403, "forbidden"), case
            assert not changed, case
        elif target == "unknown" or (target == "erased" and name not in ON_ACTIONS | {"adjust_user"}):
            assert status == 404, case
            assert not changed, case
        else:
            assert status == 200, case
            assert changed or (target, name) == ("moderator", "set_user_role"), case


@pytest.mark.parametrize("name", sorted(ON_THE_SERVICE))
async def test_a_key_opens_the_routes_of_its_scope_alone(stage: Stage, name: str) -> None:
    (route,) = [route for route in CHANGING if route.name == name]
    path = route.path.replace("{name}", "nothing").replace("{slug}", "nothing").replace("{id}", str(2**40))
    for caller in stage.scopes:
        status, answer = await call(stage.node, route.method, path, stage.callers[caller][0], {})
        opened = scope_for(route) in stage.scopes[caller]
        assert (status == 403) is not opened, (name, caller, answer)


async def test_an_operator_who_was_demoted_meanwhile_judges_no_one(stage: Stage) -> None:
    """The role is read under the lock of the write: what the edge saw a moment ago does not count."""
    services = stage.node.services
    _, _, moderator = stage.callers["moderator"]
    actor, player = Actor(f"user:{moderator}"), await stage.person("player")
    held, awarded = await stage.action_of(player, held=True), await stage.action_of(player, held=False)
    acts: list[Callable[[], Awaitable[object]]] = [
        lambda: review.approve(services.pool, actor, held, "x"),
        lambda: review.reject(services.pool, actor, held, "x"),
        lambda: corrections.reverse(services.pool, actor, awarded, "x"),
        lambda: sanctions.ban(services.pool, actor, player, "x"),
    ]
    async with services.pool.acquire() as demoting:
        for act in acts:
            await demoting.execute("UPDATE users SET role = 'moderator' WHERE id = $1", moderator)
            transaction = demoting.transaction()
            await transaction.start()
            await demoting.execute("UPDATE users SET role = 'player' WHERE id = $1", moderator)
            waiting = asyncio.ensure_future(act())
            await _waits_for_a_lock(services.pool)
            await transaction.commit()
            with pytest.raises(LaurelsError) as refused:
                await waiting
            assert refused.value.code is Code.FORBIDDEN


async def _waits_for_a_lock(pool: Any) -> None:
    asks = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock')"
    await eventually(lambda: pool.fetchval(asks), bool, within=10)


async def test_what_names_no_known_actor_may_do_nothing(stage: Stage) -> None:
    """Only the command line and the service itself act without an account or a key."""
    pool, player = stage.node.services.pool, await stage.person("player")
    for name in ("user:1099511627776", "someone", "operators:x", ""):
        with pytest.raises(LaurelsError) as refused:
            await sanctions.ban(pool, Actor(name), player, "x")
        assert refused.value.code is Code.FORBIDDEN, name
    with pytest.raises(LaurelsError) as refused:
        await sanctions.ban(pool, Actor("key:1099511627776"), player, "x")
    assert refused.value.code is Code.API_KEY_INVALID
    assert await sanctions.ban(pool, Actor("operator:root"), player, "x")


async def test_an_admin_adjusts_and_approves_nothing_of_their_own(stage: Stage) -> None:
    """Neither as themselves, nor with a key that they made."""
    token, _, own = stage.callers["admin"]
    held = await stage.action_of(own, held=True)
    body = {"points": 1_000, "adjustment_identifier": "mine"} | WHY
    for shown in (token, stage.callers["key with all"][0]):
        for path, sent in ((f"/api/admin/users/{own}/adjust", body), (f"/api/admin/actions/{held}/approve", WHY)):
            status, answer = await stage.node.post(path, sent, shown)
            assert (status, answer["code"]) == (403, "forbidden"), path
    assert await stage.node.services.pool.fetchval("SELECT status FROM actions WHERE id = $1", held) == "held"


async def test_erasing_oneself_needs_no_operator(stage: Stage) -> None:
    """An admin who is not the last may go; no one erases another's account as their own."""
    node, (token, _, own) = stage.node, stage.callers["admin"]
    body = {"username": "a-admin", "password": PASSWORD}
    assert (await call(node, "DELETE", "/api/me", token, body))[0] == 204
    with pytest.raises(AssertionError):
        await erasure.erase_own(node.services.pool, Actor(f"user:{own + 1}"), own, "x")
