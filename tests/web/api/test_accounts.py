"""Registering, logging in, refreshing, logging out; and names that only look different."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.support.node import PASSWORD, InProcessNode, running_node
from tests.support.polling import eventually

from laurels.config import Settings
from laurels.ledger.accounts import sanctions
from laurels.ledger.events.audit import SYSTEM


async def register(node: InProcessNode, username: str, **more: Any) -> tuple[int, Any]:
    return await node.post("/api/auth/register", {"username": username, "password": PASSWORD} | more)


async def login(node: InProcessNode, username: str, password: str = PASSWORD) -> tuple[int, Any]:
    return await node.post("/api/auth/login", {"username": username, "password": password})


async def refresh(node: InProcessNode, tokens: dict[str, Any]) -> tuple[int, Any]:
    return await node.post("/api/auth/refresh", {"refresh_token": tokens["refresh_token"]})


async def logout(node: InProcessNode, tokens: dict[str, Any]) -> int:
    status, _ = await node.post("/api/auth/logout", {"refresh_token": tokens["refresh_token"]})
    return status


async def test_who_registers_is_logged_in(node: InProcessNode) -> None:
    """201 with tokens that open /api/me; the same name logs in, whatever its case."""
    status, tokens = await register(node, "Ada Lovelace", email="ada@example.test")
    assert status == 201
    assert (tokens["token_type"], tokens["user"]["username"], tokens["user"]["role"]) == (
        "Bearer",
        "Ada Lovelace",
        "player",
    )
    status, me = await node.get("/api/me", tokens["access_token"])
    assert (status, me["user"], me["recent_actions"]) == (200, tokens["user"], [])
    status, again = await login(node, "ada LOVELACE")
    assert (status, again["user"]) == (200, tokens["user"])
    assert again["refresh_token"] != tokens["refresh_token"]


async def test_a_refresh_token_is_good_for_one_use(node: InProcessNode) -> None:
    """Each refresh gives new tokens; the chain goes on with the newest."""
    tokens = await node.register()
    for _ in range(3):
        status, tokens = await refresh(node, tokens)
        assert status == 200
        assert (await node.get("/api/me", tokens["access_token"]))[0] == 200


async def test_a_stolen_refresh_token_ends_the_login_for_both(node: InProcessNode) -> None:
    """Presented again after the grace, every token of its log-in ends; other log-ins of the user go on."""
    first = await node.register("ada")
    _, elsewhere = await login(node, "ada")
    _, second = await refresh(node, first)
    await later(node)
    status, problem = await refresh(node, first)
    assert (status, problem["code"]) == (401, "refresh_invalid")
    status, problem = await refresh(node, second)
    assert (status, problem["code"]) == (401, "refresh_invalid")
    await eventually(lambda: node.get("/api/me", second["access_token"]), lambda seen: seen[0] == 401)
    assert (await refresh(node, elsewhere))[0] == 200


async def test_a_lost_reply_may_be_asked_for_again(node: InProcessNode) -> None:
    """Within the grace the same refresh token gets the same successor; the log-in goes on."""
    first = await node.register()
    _, second = await refresh(node, first)
    status, again = await refresh(node, first)
    assert (status, again["refresh_token"]) == (200, second["refresh_token"])
    assert (await node.get("/api/me", again["access_token"]))[0] == 200
    status, third = await refresh(node, again)
    assert status == 200
    assert third["refresh_token"] != second["refresh_token"]


async def test_a_refresh_token_whose_successor_was_used_ends_the_login(node: InProcessNode) -> None:
    """Also within the grace: a client that used the successor had the reply."""
    first = await node.register()
    _, second = await refresh(node, first)
    _, third = await refresh(node, second)
    assert (await refresh(node, first))[1]["code"] == "refresh_invalid"
    assert (await refresh(node, third))[1]["code"] == "refresh_invalid"


async def test_refreshes_at_once_on_two_nodes_get_one_successor(node: InProcessNode, settings: Settings) -> None:
    """Twenty at once with the same token: one successor for all of them, whichever node was asked."""
    tokens = await node.register()
    async with running_node(settings) as other:
        answers = await asyncio.gather(*(refresh((node, other)[n % 2], tokens) for n in range(20)))
    assert {status for status, _ in answers} == {200}
    assert len({answer["refresh_token"] for _, answer in answers}) == 1
    rows = await node.services.pool.fetchval("SELECT count(*) FROM refresh_tokens")
    assert rows == 2


async def test_the_ledger_alone_does_not_tell_a_successor(node: InProcessNode) -> None:
    """It is masked with the token that it follows, of which only a hash is kept; and forgotten after the grace."""
    first = await node.register()
    _, second = await refresh(node, first)
    pool = node.services.pool
    kept = await pool.fetch("SELECT token_hash, successor FROM refresh_tokens ORDER BY id")
    assert kept[0]["successor"] is not None
    secret = second["refresh_token"].encode()
    assert all(secret not in value for row in kept for value in row.values() if value)
    await later(node)
    await node.services.sessions.trim()
    assert await pool.fetchval("SELECT count(*) FROM refresh_tokens WHERE successor IS NOT NULL") == 0


async def later(node: InProcessNode) -> None:
    """As if the grace of what was used so far were over."""
    await node.services.pool.execute("UPDATE refresh_tokens SET used_at = used_at - interval '10 minutes'")


async def test_refresh_tokens_that_were_never_issued_are_refused(node: InProcessNode) -> None:
    for odd in ("x", "é" * 40, "a\0b", "\U0001f600"):
        status, problem = await node.post("/api/auth/refresh", {"refresh_token": odd})
        assert (status, problem["code"]) == (401, "refresh_invalid"), odd


async def test_logging_out_ends_the_login(node: InProcessNode) -> None:
    """204 without a body, also the second time and for unknown tokens."""
    tokens = await node.register()
    body = {"refresh_token": tokens["refresh_token"]}
    for _ in range(2):
        async with node.http.post(f"{node.url}/api/auth/logout", json=body) as reply:
            assert (reply.status, await reply.read()) == (204, b"")
            assert "Content-Type" not in reply.headers
            assert reply.headers.get("Content-Length", "0") == "0"
    assert await logout(node, {"refresh_token": "an unknown token"}) == 204
    status, problem = await refresh(node, tokens)
    assert (status, problem["code"]) == (401, "refresh_invalid")


async def test_a_ban_ends_refreshing_and_logging_in(node: InProcessNode) -> None:
    """Also after the ban is lifted, the old log-in stays over; the password opens a new one."""
    tokens = await node.register("ada")
    pool = node.services.pool
    await sanctions.ban(pool, SYSTEM, tokens["user"]["id"], None)
    status, problem = await refresh(node, tokens)
    assert (status, problem["code"]) == (401, "refresh_invalid")
    status, problem = await login(node, "ada")
    assert (status, problem["code"]) == (403, "banned")
    status, problem = await login(node, "ada", "a wrong password")
    assert (status, problem["code"]) == (401, "credentials_wrong")
    await sanctions.lift(pool, SYSTEM, tokens["user"]["id"], None)
    assert (await refresh(node, tokens))[0] == 401
    assert (await login(node, "ada"))[0] == 200


LOOK_ALIKES = {
    "paypal": ["раураl", "PAYPAL", "PayPal", "ｐａｙｐａｌ", "ρaypal", "payραl"],  # noqa: RUF001  the point
    "Ivan Ivanov": ["Іvan Іvanov", "ivan i\u0307vanov"],  # noqa: RUF001
    "Jörg": ["JÖRG", "Jo\u0308rg"],
    "straße": ["STRASSE"],
}


async def test_names_that_look_like_a_taken_one_are_taken(node: InProcessNode) -> None:
    """409 username_taken for other scripts, cases, widths and invisible marks that read the same."""
    for name, twins in LOOK_ALIKES.items():
        assert (await register(node, name))[0] == 201
        for twin in twins:
            status, problem = await register(node, twin)
            assert (status, problem["code"], problem["path"]) == (409, "username_taken", "$.username"), twin


async def test_similar_names_are_refused_near_operators_alone(node: InProcessNode) -> None:
    """Honest people may have them; no one may be taken for an operator, or for a reserved name."""
    for name in ("Arno", "Amo", "Team 11", "Team II", "Alice", "A1ice", "Iş\u0131l", "Isil"):
        assert (await register(node, name))[0] == 201, name
    for name in ("adm1n", "ADMlN", "\u00e0dmin", "adrnin", "m0derator", "supp0rt"):
        status, problem = await register(node, name)
        assert (status, problem["code"]) == (409, "username_taken"), name
    _, tokens = await register(node, "Momo Turner")
    await node.services.user_editor.set_role(tokens["user"]["id"], "moderator", SYSTEM)
    for name in ("Morno Turner", "Momo Tumer", "M0mo Turner"):
        status, problem = await register(node, name)
        assert (status, problem["code"]) == (409, "username_taken"), name


async def test_names_of_every_script_are_shown_as_they_were_typed(node: InProcessNode) -> None:
    """Right-to-left, Han, Devanagari, emoji, spaces and slashes: accepted, on the board and found by path."""
    for number, name in enumerate(["אבגדה", "محمد علي", "测试者", "नमस्ते", "🏆🏆🏆", "a/b c", "50%25", "Zoë+1?#"]):
        status, tokens = await register(node, name)
        assert (status, tokens["user"]["username"]) == (201, name), tokens
        await node.complete(tokens["access_token"], f"a-{number}")
    _, board = await node.get("/api/scoreboard?limit=100")
    for row in board["rows"]:
        status, place = await node.get(f"/api/boards/points/rank/{quoted(row['username'])}")
        assert (status, place["rank"], place["username"]) == (200, row["rank"], row["username"])


def quoted(name: str) -> Any:
    return "".join(f"%{byte:02X}" for byte in name.encode())


async def test_names_that_hide_something_are_refused(node: InProcessNode) -> None:
    """422 with the rule: bidi overrides, zero-width, control, blank, too short, too long."""
    hidden = ["ada\u202e", "a\u200bda", "a\u2066da", "ad\x00a", "ada\n", "a\x07da", "\ufeffada", "ada\u3164", " ada"]
    hidden += ["ada  l", "ada\u00ad", "---", "ada\ue000", "a\u0301\u0301\u0301da", "ada\u2028", "ada\u00a0\u00a0b"]
    for name in hidden:
        status, problem = await register(node, name)
        assert (status, problem["code"], problem["path"]) == (422, "username_invalid", "$.username"), repr(name)
    for name in ("ab", "a" * 33):
        status, problem = await register(node, name)
        assert (status, problem["code"], problem["path"]) == (422, "invalid_request", "$.username")


async def test_an_address_has_one_account_whatever_its_case(node: InProcessNode) -> None:
    assert (await register(node, "ada", email="Ada@Example.test"))[0] == 201
    status, problem = await register(node, "grace", email="ada@example.TEST")
    assert (status, problem["code"], problem["path"]) == (409, "email_taken", "$.email")
    for odd in ("ada", "@", "a@b@c", "a b@c", "ada@example.test\n", "a\0@b", "a@" + "b" * 254):
        status, problem = await register(node, "grace", email=odd)
        assert (status, problem["code"], problem["path"]) == (422, "invalid_request", "$.email"), odd
    assert (await register(node, "grace", email=None))[0] == 201


async def test_weak_passwords_are_refused_before_they_are_hashed(node: InProcessNode) -> None:
    for password in ("short", "x" * 257):
        status, problem = await node.post("/api/auth/register", {"username": "ada", "password": password})
        assert (status, problem["code"], problem["path"]) == (422, "invalid_request", "$.password")


async def test_passwords_count_to_the_last_character(node: InProcessNode) -> None:
    """No truncation at 72 bytes or at a NUL."""
    long = "p" * 255 + "1"
    assert (await node.post("/api/auth/register", {"username": "ada", "password": long}))[0] == 201
    assert (await login(node, "ada", long[:-1] + "2"))[0] == 401
    assert (await login(node, "ada", long))[0] == 200
    with_nul = "pass\0word-one"
    assert (await node.post("/api/auth/register", {"username": "bob", "password": with_nul}))[0] == 201
    assert (await login(node, "bob", "pass\0word-two"))[0] == 401
    assert (await login(node, "bob", with_nul))[0] == 200


async def test_login_does_not_tell_whether_a_name_exists(node: InProcessNode) -> None:
    """The same body but for the request id, and the same work: one hash is computed either way."""
    await node.register("ada")
    hasher = node.services.passwords._hasher
    computed: list[str] = []

    class Counting:
        def verify(self, stored: str, password: str) -> bool:
            computed.append(stored)
            return hasher.verify(stored, password)

    node.services.passwords._hasher = Counting()  # type: ignore[assignment]
    answers = [await login(node, name, "a wrong password") for name in ("ada", "stranger", "no\0body")]
    assert [status for status, _ in answers] == [401, 401, 401]
    bodies = [{name: value for name, value in body.items() if name != "request_id"} for _, body in answers]
    assert bodies[0] == bodies[1] == bodies[2]
    assert len(computed) == 3
    parameters = {stored.rsplit("$", 2)[0] for stored in computed}
    assert len(parameters) == 1, "a decoy of other cost would take another time"


async def test_a_flood_of_logins_is_refused_at_once_when_the_queue_is_full(node: InProcessNode) -> None:
    """503 overloaded with Retry-After for those beyond the queue; the rest is served."""
    await node.register("ada")
    answers = await asyncio.gather(*(login(node, "ada") for _ in range(90)))
    statuses = {status for status, _ in answers}
    assert statuses <= {200, 503}
    assert 200 in statuses
    for status, body in answers:
        if status == 503:
            assert (body["code"], body["retry_after"]) == ("overloaded", 2)
