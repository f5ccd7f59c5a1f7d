"""API keys: good for their scopes and nothing else, and over everywhere the moment they are revoked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from tests.support.node import InProcessNode, running_node
from tests.support.polling import eventually
from tests.web.admin import pages

from laurels.app.api_keys import FreshSecret
from laurels.config import Settings
from laurels.domain.authorization import SCOPES
from laurels.domain.errors import Code, LaurelsError
from laurels.ledger.accounts.api_keys import ApiKeys
from laurels.ledger.events.audit import SYSTEM, Actor
from laurels.web.auth.secret_box import SecretBox

KEYS = "/api/admin/keys"
VERIFY = "/api/admin/index/verify"


@pytest.fixture
async def admin(node: InProcessNode) -> str:
    """An admin's access token."""
    user = (await node.register("boss"))["user"]
    await node.services.user_editor.set_role(user["id"], "admin", SYSTEM)
    _, tokens = await node.post("/api/auth/login", {"username": "boss", "password": "correct horse battery"})
    return tokens["access_token"]


async def make(node: InProcessNode, by: str, *scopes: str) -> dict[str, Any]:
    status, made = await node.post(KEYS, {"name": "a server", "scopes": scopes}, by)
    assert status == 201, made
    return made


async def test_a_key_opens_what_its_scope_covers(node: InProcessNode, admin: str) -> None:
    """admin:read reads, index:write compares the index, neither does the other's; none speaks for a user."""
    reader = (await make(node, admin, "admin:read"))["api_key"]
    writer = (await make(node, admin, "index:write"))["api_key"]
    outsider = (await make(node, admin, "actions:write"))["api_key"]
    assert (await node.get(KEYS, reader))[0] == 200
    assert (await node.post(VERIFY, {}, writer))[0] == 200
    refused = [
        await node.post(VERIFY, {}, reader),
        await node.get(KEYS, writer),
        await node.get(KEYS, outsider),
        await node.post(VERIFY, {}, outsider),
        await node.get("/api/me", writer),
    ]
    assert [(status, problem["code"]) for status, problem in refused] == [(403, "forbidden")] * 5


async def test_what_is_no_key_of_ours_is_refused(node: InProcessNode, admin: str) -> None:
    """401 with a challenge, whatever is wrong with it, and the same words for all of it."""
    made = await make(node, admin, "admin:read")
    good, key_id = made["api_key"], made["key"]["id"]
    odd = [
        "lk_",
        "lk__",
        "lk_x_y",
        f"lk_{key_id}",
        f"lk_{key_id}_",
        good[:-1],
        good + "x",
        good.replace(f"_{key_id}_", "_999_"),
    ]
    odd += [f"lk_{'9' * 30}_x", f"lk_\u0661_{good}", "lk_" + "x" * 4_000, good.upper().replace("LK_", "lk_")]
    details = set()
    for key in odd:
        async with node.http.get(node.url + KEYS, headers={"Authorization": f"Bearer {key}"}) as reply:
            problem = await reply.json(content_type=None)
            assert (reply.status, problem["code"]) == (401, "api_key_invalid"), key
            assert 'error="invalid_token"' in reply.headers["WWW-Authenticate"]
            details.add(problem["detail"])
    assert len(details) == 1
    assert (await node.get(KEYS, good))[0] == 200


async def test_a_key_is_shown_once_and_kept_as_a_hash(node: InProcessNode, admin: str) -> None:
    """Neither the list nor the ledger holds the key; who reads the table can't show it."""
    made = await make(node, admin, "admin:read")
    secret = made["api_key"].split("_", 2)[2]
    async with node.http.get(node.url + KEYS, headers={"Authorization": f"Bearer {admin}"}) as reply:
        text = await reply.text()
        assert reply.headers["Cache-Control"] == "no-store"
    assert secret not in text
    assert made["signing_secret"] not in text
    rows = await node.services.pool.fetch(
        "SELECT k::text || s::text || coalesce((SELECT string_agg(a::text, '') FROM audit a), '') AS all "
        "FROM api_keys k, api_key_secrets s"
    )
    assert rows
    assert all(secret not in row["all"] for row in rows)


async def test_a_rotated_key_overlaps_and_then_ends(node: InProcessNode, admin: str) -> None:
    """Both secrets are good during the overlap, the third ends the first, and no overlap ends it at once."""
    made = await make(node, admin, "admin:read")
    path = f"{KEYS}/{made['key']['id']}/rotate"
    _, second = await node.post(path, {}, admin)
    assert second["key"]["overlap_until"] is not None
    assert [(await node.get(KEYS, key["api_key"]))[0] for key in (made, second)] == [200, 200]
    _, third = await node.post(path, {"overlap_seconds": 0, "reason": "leaked"}, admin)
    assert [(await node.get(KEYS, key["api_key"]))[0] for key in (made, second, third)] == [401, 401, 200]


async def test_a_revoked_key_ends_on_every_node(node: InProcessNode, settings: Settings, admin: str) -> None:
    """Made and revoked on one node, known and forgotten on another; its row stays."""
    made = await make(node, admin, "admin:read")
    async with running_node(settings) as other:
        assert (await other.get(KEYS, made["api_key"]))[0] == 200
        fresh = await make(node, admin, "admin:read")
        await eventually(lambda: other.get(KEYS, fresh["api_key"]), lambda seen: seen[0] == 200)
        path = f"{KEYS}/{made['key']['id']}/revoke"
        status, revoked = await node.post(path, {"reason": "no longer used"}, admin)
        assert (status, revoked["revoked_at"] is not None) == (200, True)
        assert (await node.get(KEYS, made["api_key"]))[0] == 401
        await eventually(lambda: other.get(KEYS, made["api_key"]), lambda seen: seen[0] == 401)
    for again in ("revoke", "rotate"):
        status, problem = await node.post(f"{KEYS}/{made['key']['id']}/{again}", {}, admin)
        assert (status, problem["code"]) == (404, "key_unknown")


async def test_a_key_grants_no_more_than_it_has(node: InProcessNode, admin: str) -> None:
    """The maker or rotator of a key receives its secret, so a key does neither to one that may do more."""
    writer = await make(node, admin, "keys:write", "admin:read")
    key = writer["api_key"]
    missing = [scope for scope in SCOPES if scope not in ("keys:write", "admin:read")]
    stronger = [await make(node, admin, "keys:write", scope) for scope in missing]
    for scope in missing:
        for scopes in ([scope], ["admin:read", scope], list(SCOPES)):
            status, refused = await node.post(KEYS, {"name": "more", "scopes": scopes}, key)
            assert (status, refused["code"]) == (403, "forbidden"), scopes
    for one in stronger:
        for act in ("rotate", "revoke"):
            status, refused = await node.post(f"{KEYS}/{one['key']['id']}/{act}", {}, key)
            assert (status, refused["code"]) == (403, "forbidden"), (act, one["key"]["scopes"])
            assert "api_key" not in refused
    equal = await make(node, key, "admin:read", "keys:write")
    assert (await node.post(f"{KEYS}/{equal['key']['id']}/rotate", {}, key))[0] == 200
    assert (await node.post(f"{KEYS}/{writer['key']['id']}/rotate", {"overlap_seconds": 60}, key))[0] == 200
    assert (await node.post(f"{KEYS}/{equal['key']['id']}/revoke", {}, key))[0] == 200


async def test_a_key_that_is_revoked_meanwhile_makes_no_other(node: InProcessNode, admin: str) -> None:
    """The state that a node still holds in memory does not count at the moment of the write."""
    writer = await make(node, admin, "keys:write")
    await node.services.pool.execute("UPDATE api_keys SET revoked_at = now() WHERE id = $1", writer["key"]["id"])
    status, refused = await node.post(KEYS, {"name": "k", "scopes": ["keys:write"]}, writer["api_key"])
    assert (status, refused["code"]) == (401, "api_key_invalid")


async def test_an_admin_who_is_demoted_meanwhile_makes_no_key(node: InProcessNode, admin: str) -> None:
    store, fresh = ApiKeys(node.services.pool, uuid4()), FreshSecret.generate()
    user_id = await node.services.pool.fetchval("UPDATE users SET role = 'player' WHERE username = 'boss' RETURNING id")
    with pytest.raises(LaurelsError) as refused:
        await store.create("k", ["admin:read"], fresh.stored(SecretBox()), Actor(f"user:{user_id}"))
    assert refused.value.code is Code.FORBIDDEN


async def test_no_key_changes_a_role_or_reads_an_operators_new_password(node: InProcessNode, admin: str) -> None:
    key = (await make(node, admin, *SCOPES))["api_key"]
    ids = {name: (await node.register(name))["user"]["id"] for name in ("ada", "mona")}
    await node.services.user_editor.set_role(ids["mona"], "moderator", SYSTEM)
    for user_id in ids.values():
        async with node.http.put(
            f"{node.url}/api/admin/users/{user_id}/role",
            json={"role": "admin"},
            headers={"Authorization": f"Bearer {key}"},
        ) as reply:
            assert reply.status == 403
    status, refused = await node.post(f"/api/admin/users/{ids['mona']}/password", {}, key)
    assert (status, refused["code"]) == (403, "forbidden")
    assert (await node.post(f"/api/admin/users/{ids['ada']}/password", {}, key))[0] == 200


async def test_every_change_of_a_key_is_in_the_audit_trail(node: InProcessNode, admin: str) -> None:
    """An entry names who, what and why; a key that makes keys is named as such."""
    writer = await make(node, admin, "keys:write", "admin:read")
    made = await make(node, writer["api_key"], "admin:read")
    await node.post(f"{KEYS}/{made['key']['id']}/revoke", {"reason": "a test"}, writer["api_key"])
    trail = await node.services.pool.fetch(
        "SELECT actor, act, subject, reason FROM audit WHERE act LIKE 'key.%' ORDER BY id"
    )
    by_key, subject = f"key:{writer['key']['id']}", f"key:{made['key']['id']}"
    assert [tuple(row) for row in trail][1:] == [
        (by_key, "key.create", subject, None),
        (by_key, "key.revoke", subject, "a test"),
    ]
    assert trail[0]["actor"].startswith("user:")


async def test_keys_are_listed_page_by_page(node: InProcessNode, admin: str) -> None:
    """Every key once, newest first."""
    ids = [(await make(node, admin, "admin:read"))["key"]["id"] for _ in range(5)]
    assert [key["id"] for key in await pages(node, KEYS, admin, "keys", 2)] == ids[::-1]


async def test_the_last_use_of_a_key_is_noted_without_a_write_per_request(node: InProcessNode, admin: str) -> None:
    made = await make(node, admin, "admin:read")
    await node.get(KEYS, made["api_key"])
    _, seen = await node.get(KEYS, admin)
    assert seen["keys"][0]["last_used_at"] is None
    await node.services.keyring.record_uses()
    _, seen = await node.get(KEYS, admin)
    assert seen["keys"][0]["last_used_at"] is not None


async def test_a_key_has_a_rate_of_its_own(settings: Settings) -> None:
    """Its allowance is spent by itself and by no other key."""
    async with running_node(replace(settings, key_rate=3)) as node:
        store = ApiKeys(node.services.pool, uuid4())
        texts = []
        for _ in range(2):
            fresh = FreshSecret.generate()
            texts.append(fresh.key((await store.create("k", ["admin:read"], fresh.stored(SecretBox()), SYSTEM)).id))
        await node.services.keyring.refresh()
        answers = [(await node.get(KEYS, texts[0]))[0] for _ in range(4)]
        assert answers == [200, 200, 200, 429]
        assert (await node.get(KEYS, texts[1]))[0] == 200


async def test_there_is_an_end_to_keys(node: InProcessNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every node holds all of them: beyond the bound, 409; a revoked one makes room."""
    monkeypatch.setattr("laurels.ledger.accounts.api_keys.MAX_KEYS", 1)
    store = ApiKeys(node.services.pool, uuid4())
    first = await store.create("k", ["keys:write", "admin:read"], FreshSecret.generate().stored(SecretBox()), SYSTEM)
    fresh = FreshSecret.generate()
    await store.rotate(first.id, fresh.stored(SecretBox()), timedelta(0), SYSTEM)
    await node.services.keyring.refresh()
    status, problem = await node.post(KEYS, {"name": "k", "scopes": ["admin:read"]}, fresh.key(first.id))
    assert (status, problem["code"]) == (409, "too_many_keys")
