"""Log-ins end at once, on every node, with their access tokens and their sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.cli.commands import laurels
from tests.live.screens import open_screen
from tests.live.test_sse import listening
from tests.live.test_submitting import speaking
from tests.support import operators
from tests.support.issuer import Issuer
from tests.support.node import PASSWORD, InProcessNode, running_node
from tests.support.redis import RedisServer
from tests.web.admin import call, of_role
from tests.web.auth.logins import log_out_everywhere, login, status_of

from laurels.config import Settings
from laurels.ledger.events.audit import SYSTEM

NEW = "a new battery horse"
Pair = tuple[InProcessNode, InProcessNode]


@pytest.fixture(params=["ledger alone", "Redis too"])
async def pair(
    request: pytest.FixtureRequest, settings: Settings, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Pair]:
    """Two nodes that share a ledger, and perhaps Redis. On a busy machine they take longer than operators wait for."""
    monkeypatch.setattr("laurels.node.PROPAGATION_SECONDS", 15.0)
    monkeypatch.setattr("laurels.cli.ledger.PROPAGATION_SECONDS", 15.0)
    shared = replace(settings, redis_url=redis_server.url) if request.param == "Redis too" else settings
    async with running_node(shared) as one, running_node(shared) as other:
        yield one, other


# -- log-out


async def test_a_logout_ends_the_access_token_it_came_with_on_every_node(pair: Pair) -> None:
    """And nothing else: another log-in of the same user goes on."""
    one, other = pair
    first = await one.register("ada")
    _, second = await login(other)
    for node in pair:
        assert await status_of(node, first["access_token"]) == 200
    assert (await one.post("/api/auth/logout", {"refresh_token": first["refresh_token"]}))[0] == 204
    for node in pair:
        status, problem = await node.get("/api/me", first["access_token"])
        assert (status, problem["code"]) == (401, "token_invalid")
        assert await status_of(node, second["access_token"]) == 200


async def test_a_logout_ends_every_access_token_of_its_login(node: InProcessNode) -> None:
    """Also the older ones, and the one of a refresh in progress."""
    tokens = [await node.register("ada")]
    for _ in range(3):
        body = {"refresh_token": tokens[-1]["refresh_token"]}
        tokens.append((await node.post("/api/auth/refresh", body))[1])
    body = {"refresh_token": tokens[-1]["refresh_token"]}
    both = [node.post("/api/auth/refresh", body), node.post("/api/auth/logout", body)]
    _, last = (await asyncio.gather(*both))[0]
    assert [await status_of(node, one["access_token"]) for one in tokens] == [401] * 4
    if "access_token" in last:
        assert await status_of(node, last["access_token"]) == 401
        assert (await node.post("/api/auth/refresh", {"refresh_token": last["refresh_token"]}))[0] == 401


async def test_a_logout_holds_on_every_node_while_redis_is_silent(
    settings: Settings, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bus reaches no node then, whether or not the nodes have noticed: the ledger is where they are waited for."""
    monkeypatch.setattr("laurels.node.PROPAGATION_SECONDS", 15.0)
    shared = replace(settings, redis_url=redis_server.url)
    async with running_node(shared) as one, running_node(shared) as other:
        sessions = [await one.register("ada"), (await login(other))[1], (await login(other))[1]]
        redis_server.pause()
        try:
            for tokens in sessions:
                assert await everywhere((one, other), "/api/me", tokens) == [200, 200]
                assert (await other.post("/api/auth/logout", {"refresh_token": tokens["refresh_token"]}))[0] == 204
                assert await everywhere((one, other), "/api/me", tokens) == [401, 401]
        finally:
            redis_server.resume()


async def test_a_replayed_refresh_token_ends_the_access_tokens_of_its_login_on_every_node(pair: Pair) -> None:
    """Two hold copies; the newest access token may be the thief's."""
    one, other = pair
    tokens = [await one.register("ada")]
    for _ in range(2):
        tokens.append((await one.post("/api/auth/refresh", {"refresh_token": tokens[-1]["refresh_token"]}))[1])
    for node in pair:
        assert await status_of(node, tokens[-1]["access_token"]) == 200
    assert (await other.post("/api/auth/refresh", {"refresh_token": tokens[0]["refresh_token"]}))[0] == 401
    assert [await status_of(node, one["access_token"]) for one in tokens for node in pair] == [401] * 6


async def test_a_node_that_starts_later_knows_what_has_ended(node: InProcessNode, settings: Settings) -> None:
    out, everywhere = await node.register("ada"), await node.register("bob")
    await node.post("/api/auth/logout", {"refresh_token": out["refresh_token"]})
    await node.post("/api/auth/logout-everywhere", {}, everywhere["access_token"])
    async with running_node(settings) as later:
        assert await status_of(later, out["access_token"]) == 401
        assert await status_of(later, everywhere["access_token"]) == 401


# -- all log-ins of a user


async def change_password(node: InProcessNode, tokens: dict[str, Any]) -> None:
    body = {"password": PASSWORD, "new_password": NEW}
    status, fresh = await node.post("/api/me/password", body, tokens["access_token"])
    assert status == 200, fresh
    assert await status_of(node, fresh["access_token"]) == 200


async def reset_password(node: InProcessNode, tokens: dict[str, Any]) -> None:
    admin = await of_role(node, "admin")
    assert (await call(node, "POST", f"/api/admin/users/{tokens['user']['id']}/password", admin, {}))[0] == 200


async def erase(node: InProcessNode, tokens: dict[str, Any]) -> None:
    body = {"username": "ada", "password": PASSWORD}
    assert (await call(node, "DELETE", "/api/me", tokens["access_token"], body))[0] == 204


async def ban(node: InProcessNode, tokens: dict[str, Any]) -> None:
    admin = await of_role(node, "admin")
    path = f"/api/admin/users/{tokens['user']['id']}/status"
    status, answer = await call(node, "PUT", path, admin, {"status": "banned", "reason": "test"})
    assert status == 200, answer


Ending = Callable[[InProcessNode, dict[str, Any]], Awaitable[None]]


@pytest.mark.parametrize("end", [change_password, reset_password, log_out_everywhere, erase, ban])
async def test_every_older_token_and_socket_ends_at_once_on_every_node(pair: Pair, end: Ending) -> None:
    """The answer waits for all nodes; sockets are closed with a code that says what to do."""
    one, other = pair
    first = await one.register("ada")
    _, second = await login(other)
    code = 4403 if end in (ban, erase) else 4401
    me = {"Authorization": f"Bearer {second['access_token']}"}
    async with (
        speaking(one, first["access_token"]) as near,
        speaking(other, second["access_token"]) as far,
        listening(other, "?channel=me", **me) as stream,
    ):
        assert (await stream.next())[0] == "me"
        await end(one, first)
        for node in pair:
            for tokens in (first, second):
                assert await status_of(node, tokens["access_token"]) in (401, 403)
                assert (await node.post("/api/auth/refresh", {"refresh_token": tokens["refresh_token"]}))[0] == 401
        assert await near.close_code() == code
        assert await far.close_code() == code
        kind, problem = await stream.next()
        assert (kind, problem["code"]) == ("error", "banned" if code == 4403 else "token_invalid")


async def test_a_token_of_the_same_second_works(node: InProcessNode) -> None:
    """No clock decides: a log-in right after the change is valid, however often."""
    tokens = await node.register("ada")
    for _ in range(5):
        await log_out_everywhere(node, tokens)
        old, (status, tokens) = tokens, await login(node)
        assert status == 200
        assert await status_of(node, tokens["access_token"]) == 200
        assert await status_of(node, old["access_token"]) == 401


async def test_a_login_that_was_checked_before_the_change_is_refused(
    node: InProcessNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old password was right when it was read, and no longer when the session is opened."""
    await node.register("ada")
    user = await node.services.pool.fetchval("SELECT id FROM users WHERE username = 'ada'")
    check = node.services.passwords.matches

    async def slowly(stored: str | None, given: str) -> bool:
        knows = await check(stored, given)
        await node.services.user_editor.set_password(user, "x", SYSTEM)
        return knows

    monkeypatch.setattr(node.services.passwords, "matches", slowly)
    status, problem = await login(node)
    assert (status, problem["code"]) == (401, "credentials_wrong")
    assert await node.services.pool.fetchval("SELECT count(*) FROM refresh_tokens WHERE revoked_at IS NULL") == 0


async def test_a_password_changes_only_for_those_who_know_it(node: InProcessNode) -> None:
    tokens = await node.register("ada")
    body = {"password": "not the battery", "new_password": NEW}
    status, problem = await node.post("/api/me/password", body, tokens["access_token"])
    assert (status, problem["code"]) == (401, "credentials_wrong")
    assert await status_of(node, tokens["access_token"]) == 200
    await change_password(node, tokens)
    assert (await login(node))[0] == 401
    assert (await login(node, NEW))[0] == 200


async def test_of_two_changes_of_a_password_one_holds(node: InProcessNode) -> None:
    """Both knew the old one; the later one would undo what the first has just set."""
    tokens = await node.register("ada")
    bodies = [{"password": PASSWORD, "new_password": f"{NEW} {n}"} for n in range(4)]
    answers = await asyncio.gather(*(node.post("/api/me/password", body, tokens["access_token"]) for body in bodies))
    assert sorted(status for status, _ in answers).count(200) == 1


async def test_a_body_that_arrives_after_the_end_is_refused(node: InProcessNode) -> None:
    """A request that began while its token was good, and whose body took its time."""
    tokens = await node.register("ada")
    gate = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b'{"action_type": "lesson", '
        await gate.wait()
        yield b'"action_identifier": "a-1"}'

    headers = {"Authorization": f"Bearer {tokens['access_token']}", "Content-Type": "application/json"}
    late = asyncio.create_task(node.http.post(f"{node.url}/api/actions/complete", data=body(), headers=headers))
    await asyncio.sleep(0)
    await log_out_everywhere(node, tokens)
    gate.set()
    assert (await late).status == 401
    assert await node.services.pool.fetchval("SELECT count(*) FROM actions") == 0


# -- the command line


async def test_what_the_command_line_changes_holds_for_the_very_next_request(pair: Pair, settings: Settings) -> None:
    """On every node: a command ends when all of them have applied it."""
    tokens = await pair[0].register("ada")
    assert await everywhere(pair, "/api/me", tokens) == [200, 200]
    new = await operators.reset_password(settings, "ada")
    assert await everywhere(pair, "/api/me", tokens) == [401, 401]
    for node in pair:
        status, tokens = await login(node, new)
        assert (status, await status_of(node, tokens["access_token"])) == (200, 200)
    await operators.set_status(settings, "ada", "banned")
    assert await everywhere(pair, "/api/me", tokens) == [403, 403]
    await operators.set_status(settings, "ada", "active")
    assert await everywhere(pair, "/api/me", tokens) == [401, 401]
    for node in pair:
        assert (await login(node, new))[0] == 200
    await operators.set_role(settings, "ada", "admin")
    _, tokens = await login(pair[0], new)
    assert await everywhere(pair, "/api/admin/users", tokens) == [200, 200]
    await operators.set_role(settings, "ada", "player")
    assert await everywhere(pair, "/api/admin/users", tokens) == [403, 403]
    await operators.close_registration(settings)
    for node in pair:
        status, problem = await node.post("/api/auth/register", {"username": "bob", "password": PASSWORD})
        assert (status, problem["code"]) == (403, "registration_closed")


async def test_a_command_logs_a_user_out_everywhere(pair: Pair, settings: Settings) -> None:
    """Typed in a terminal beside the nodes."""
    tokens = await pair[0].register("ada")
    assert await everywhere(pair, "/api/me", tokens) == [200, 200]
    done = await asyncio.to_thread(laurels, "user", "logout", "ada", "--json", DATABASE_URL=settings.database_url)
    assert done.returncode == 0, done.stderr
    assert await everywhere(pair, "/api/me", tokens) == [401, 401]


async def everywhere(pair: Pair, path: str, tokens: dict[str, Any]) -> list[int]:
    """The status that each node answers."""
    return [(await node.get(path, tokens["access_token"]))[0] for node in pair]


async def test_a_command_does_not_wait_for_a_node_that_has_stopped(settings: Settings) -> None:
    async with running_node(settings) as node:
        await node.register("ada")
        async with running_node(settings):
            assert await node.services.pool.fetchval("SELECT count(*) FROM nodes") == 2
        assert await node.services.pool.fetchval("SELECT count(*) FROM nodes") == 1


# -- tokens of outside issuers


async def test_older_tokens_of_an_outside_issuer_end_too(door: InProcessNode, issuer: Issuer) -> None:
    """Seen before or not, with whole seconds or none; one that is issued in a later second is good."""
    now = int(time.time())
    seen, unseen = issuer.token(iat=now - 2), issuer.token(iat=now - 1, n=1)
    timeless = issuer.token(without="iat")
    assert [await status_of(door, token) for token in (seen, timeless)] == [200, 200]
    async with open_screen(door) as screen:
        await screen.ask("authenticate", token=seen)
        assert (await door.post("/api/auth/logout-everywhere", {}, seen))[0] == 204
        assert await screen.close_code() == 4401
    assert [await status_of(door, token) for token in (seen, unseen, timeless)] == [401] * 3
    ended = await door.services.pool.fetchval("SELECT extract(epoch FROM tokens_not_before) FROM users WHERE id > 1")
    assert await status_of(door, issuer.token(iat=int(ended))) == 401, "the same second: it may have been before"
    fresh = issuer.token(iat=int(ended) + 1)
    assert await status_of(door, fresh) == 200
    door.services.external_tokens.forget()
    assert [await status_of(door, token) for token in (seen, unseen, timeless)] == [401] * 3
    assert await status_of(door, fresh) == 200


async def test_an_older_token_opens_no_account_for_who_was_erased(door: InProcessNode, issuer: Issuer) -> None:
    """Nor does it after all else about them is forgotten; a later log-in at the issuer begins a new account."""
    now = int(time.time())
    token = issuer.token(name="Ada", iat=now - 5)
    _, me = await door.get("/api/me", token)
    other = issuer.token(name="Ada", iat=now - 4)
    assert (await call(door, "DELETE", "/api/me", token, {"username": "Ada"}))[0] == 204
    door.services.external_tokens.forget()
    for old in (token, other, issuer.token(without="iat")):
        status, problem = await door.get("/api/me", old)
        assert (status, problem["code"]) == (401, "token_invalid")
    kept = await door.services.pool.fetchval("SELECT string_agg(u::text, '') FROM users u")
    assert issuer.name not in kept
    ended = await door.services.pool.fetchval("SELECT extract(epoch FROM tokens_not_before) FROM erased_subjects")
    status, again = await door.get("/api/me", issuer.token(name="Ada", iat=int(ended) + 1))
    assert status == 200
    assert again["user"]["id"] != me["user"]["id"]
