"""Promises to servers: an API key makes a socket speak for any user, with the verdicts and limits of HTTP."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.live.screens import V1, Screen, open_screen
from tests.support.node import PASSWORD, InProcessNode, running_node
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from laurels.config import Settings

SERVER_ONLY = "INSERT INTO action_types (name, base_score, scoring_rules) VALUES ('vouched', 50, $1)"


async def admin_of(node: InProcessNode) -> str:
    await node.register("boss")
    await node.services.pool.execute("UPDATE users SET role = 'admin' WHERE username = 'boss'")
    _, tokens = await node.post("/api/auth/login", {"username": "boss", "password": PASSWORD})
    return str(tokens["access_token"])


async def key_of(node: InProcessNode, admin: str, *scopes: str) -> dict[str, Any]:
    status, made = await node.post("/api/admin/keys", {"name": "game", "scopes": scopes or ["actions:write"]}, admin)
    assert status == 201, made
    return dict(made)


@contextlib.asynccontextmanager
async def speaking(node: InProcessNode, key: str) -> AsyncIterator[Screen]:
    async with open_screen(node) as screen:
        said = await screen.ask("authenticate", token=key)
        assert (said["type"], said["key"], "username" in said) == ("authenticated", "game", False)
        yield screen


def action(identifier: str, kind: str = "lesson", **more: Any) -> dict[str, Any]:
    return {"action_type": kind, "action_identifier": identifier, **more}


async def test_a_server_completes_for_any_user(node: InProcessNode) -> None:
    """By name or id, also what only a server may; a receipt is the same over HTTP."""
    await node.services.pool.execute(SERVER_ONLY, '{"issuer": "server"}')
    await node.services.catalogue.refresh()
    ada = (await node.register("ada"))["user"]["id"]
    await node.register("bert")
    key = (await key_of(node, await admin_of(node)))["api_key"]
    async with speaking(node, key) as screen:
        first = await screen.ask("complete", user={"username": "ADA"}, action=action("a1", "vouched"))
        assert (first["status"], first["receipt"]["new_score"]) == ("awarded", 50)
        asked = [await screen.say("complete", user={"id": ada}, action=action(f"b{n}")) for n in range(20)]
        asked += [await screen.say("complete", user={"username": "bert"}, action=action(f"b{n}")) for n in range(20)]
        answers = [await screen.of_type("result") for _ in asked]
        assert {one["id"] for one in answers} == set(asked)
        assert {one["status"] for one in answers} == {"awarded"}
    body = {"user": {"id": ada}, **action("a1", "vouched")}
    status, again = await node.post("/api/server/actions/complete", body, key)
    assert (status, again["replayed"], again["action_id"]) == (200, True, first["receipt"]["action_id"])
    assert [(await node.get(f"/api/boards/points/rank/{name}"))[1]["score"] for name in ("ada", "bert")] == [250, 200]


async def test_what_is_wrong_with_one_frame_refuses_it_alone(node: InProcessNode) -> None:
    """An unknown user, a banned one, none, two, a ticket: its neighbours count and the socket stays."""
    await node.register("ada")
    rascal = (await node.register("rascal"))["user"]["id"]
    key = (await key_of(node, await admin_of(node)))["api_key"]
    node.services.directory.blocked.add(rascal)
    await node.services.pool.execute("UPDATE users SET status = 'banned' WHERE id = $1", rascal)
    async with speaking(node, key) as screen:

        async def told(**members: Any) -> tuple[str, str]:
            answer = await screen.ask("complete", **members)
            return answer["type"], answer.get("code") or answer["status"]

        assert await told(user={"username": "stranger"}, action=action("a")) == ("result", "user_unknown")
        assert await told(user={"id": rascal}, action=action("a")) == ("result", "banned")
        assert await told(action=action("a")) == ("error", "invalid_request")
        assert await told(user={"id": 1, "username": "ada"}, action=action("a")) == ("error", "invalid_request")
        assert await told(user={"username": "ada"}, action=action("a", ticket="lt_x")) == ("error", "invalid_request")
        assert await told(user={"username": "ada"}, action=action("a", "nothing")) == ("result", "action_type_unknown")
        assert await told(user={"username": "ada"}, action=action("a")) == ("result", "awarded")
        assert (await screen.subscribe("me"))["code"] == "forbidden"
        assert (await screen.subscribe("board:points"))["resumed"] == "snapshot"


async def test_a_socket_speaks_for_one(node: InProcessNode) -> None:
    """A user may not complete for others, and neither turns into the other."""
    ada = await node.token("ada")
    key = (await key_of(node, await admin_of(node)))["api_key"]
    async with open_screen(node) as screen:
        await screen.ask("authenticate", token=ada)
        answer = await screen.ask("complete", user={"username": "ada"}, action=action("a"))
        assert (answer["type"], answer["code"]) == ("error", "forbidden")
        assert (await screen.ask("authenticate", token=key))["code"] == "forbidden"
        assert (await screen.ask("complete", action=action("a")))["status"] == "awarded"
    async with speaking(node, key) as screen:
        assert (await screen.ask("authenticate", token=ada))["code"] == "forbidden"
        assert (await screen.ask("complete", user={"username": "ada"}, action=action("b")))["status"] == "awarded"


async def test_only_a_key_that_may_write_speaks(node: InProcessNode) -> None:
    """Wrong, or without the scope: refused, as message and as subprotocol."""
    reader = (await key_of(node, await admin_of(node), "admin:read"))["api_key"]
    for shown, code, status in (("lk_1_wrong", "api_key_invalid", 401), (reader, "forbidden", 403)):
        async with open_screen(node) as screen:
            assert (await screen.ask("authenticate", token=shown))["code"] == code
        with pytest.raises(InvalidStatus) as refused:
            async with open_screen(node, subprotocols=[V1, Subprotocol(f"laurels.token.{shown}")]):
                pass
        assert refused.value.response.status_code == status


async def test_a_key_may_come_as_subprotocol(node: InProcessNode) -> None:
    await node.register("ada")
    key = (await key_of(node, await admin_of(node)))["api_key"]
    async with open_screen(node, subprotocols=[V1, Subprotocol(f"laurels.token.{key}")]) as screen:
        assert (await screen.of_type("authenticated"))["key"] == "game"
        assert (await screen.ask("complete", user={"username": "ada"}, action=action("a")))["status"] == "awarded"


async def test_a_revoked_key_speaks_no_more(node: InProcessNode) -> None:
    """Its next frames are refused, and its socket is closed."""
    await node.register("ada")
    admin = await admin_of(node)
    made = await key_of(node, admin)
    async with speaking(node, made["api_key"]) as screen:
        assert (await screen.ask("complete", user={"username": "ada"}, action=action("a")))["status"] == "awarded"
        status, _ = await node.post(f"/api/admin/keys/{made['key']['id']}/revoke", {}, admin)
        assert status == 200
        await node.services.keyring.refresh()
        for n in range(2):
            await screen.say("complete", user={"username": "ada"}, action=action(f"b{n}"))
        assert await screen.close_code() == 4401
    assert screen.frames[-1]["code"] == "api_key_invalid"
    assert (await node.get("/api/boards/points/rank/ada"))[1]["score"] == 10


async def test_a_key_has_its_own_rate(settings: Settings) -> None:
    """The same over a socket as over HTTP; the frame beyond learns when to come back."""
    async with running_node(dataclasses.replace(settings, key_rate=3)) as node:
        await node.register("ada")
        key = (await key_of(node, await admin_of(node)))["api_key"]
        async with speaking(node, key) as screen:
            told = [await screen.ask("complete", user={"username": "ada"}, action=action(f"a{n}")) for n in range(4)]
        assert [one.get("code", one["status"]) for one in told] == ["awarded"] * 3 + ["rate_limited"]
        assert told[-1]["retry_after"] > 0
