"""Reading boards: exact, cheap, cacheable, and safe to show."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from tests.support.node import InProcessNode
from tests.support.raw_http import Reply, exchange, request
from tests.web.admin import call, of_role

TOP = "/api/scoreboard"


async def get(node: InProcessNode, path: str, method: str = "GET", **headers: str) -> Reply:
    fields = {name.replace("_", "-"): text for name, text in headers.items()}
    return await exchange(node.url, request(method, path, fields), bodiless=method == "HEAD")


@pytest.fixture
async def league(node: InProcessNode) -> dict[str, dict[str, Any]]:
    """Twelve players; player k has k lessons, so 12 leads with 120 points."""
    players = {f"p{k:02}": await node.register(f"p{k:02}") for k in range(1, 13)}
    for k, tokens in enumerate(players.values(), 1):
        items = [{"action_type": "lesson", "action_identifier": f"a-{n}"} for n in range(k)]
        assert (await node.post("/api/actions/batch", {"actions": items}, tokens["access_token"]))[0] == 200
    return players


def places(board: dict[str, Any]) -> list[tuple[int, str, int]]:
    return [(row["rank"], row["username"], row["score"]) for row in board["rows"]]


STANDINGS = [(13 - k, f"p{k:02}", 10 * k) for k in range(12, 0, -1)]


@pytest.mark.usefixtures("league")
async def test_the_top_is_the_head_of_the_whole_order(node: InProcessNode) -> None:
    """Ten by default, 1 to 100 when asked for; the same board under its name."""
    for query, size in (("", 10), ("?limit=1", 1), ("?limit=11", 11), ("?limit=100", 12)):
        status, board = await node.get(TOP + query)
        assert (status, board["board"], board["total_users"], board["rank_state"]) == (200, "points", 12, "exact")
        assert places(board) == STANDINGS[:size]
        status, named = await node.get("/api/boards/points" + query)
        assert places(named) == places(board)


@pytest.mark.usefixtures("league")
async def test_a_board_is_read_from_any_place(node: InProcessNode) -> None:
    for first, limit in ((1, 50), (1, 3), (5, 4), (12, 1), (12, 5), (13, 5), (3117, 10)):
        status, page = await node.get(f"/api/boards/points/rows?from_rank={first}&limit={limit}")
        assert (status, page["total_users"], page["moved"]) == (200, 12, False)
        assert places(page) == STANDINGS[first - 1 :][:limit]
        assert (page["next"] is not None) == (first - 1 + limit < 12)


async def test_pages_neither_repeat_nor_skip_a_row(node: InProcessNode, league: dict[str, Any]) -> None:
    """Page by page through one version; a board that changes meanwhile says so, and rows in front shift nothing."""
    status, page = await node.get("/api/boards/points/rows?limit=5")
    seen = places(page)
    while page["next"]:
        status, page = await node.get(f"/api/boards/points/rows?limit=5&cursor={page['next']}")
        assert (status, page["moved"]) == (200, False)
        seen += places(page)
    assert seen == STANDINGS
    _, page = await node.get("/api/boards/points/rows?limit=5")
    await node.complete(league["p01"]["access_token"], "up", "profile-completed")  # from the last place to the eighth
    _, page = await node.get(f"/api/boards/points/rows?limit=3&cursor={page['next']}")
    assert (page["moved"], [row["username"] for row in page["rows"]]) == (True, ["p07", "p06", "p01"])


@pytest.mark.usefixtures("league")
async def test_pages_of_a_window_are_read_by_its_id(node: InProcessNode) -> None:
    _, listed = await node.get("/api/boards/points-weekly/windows")
    window = listed["windows"][0]["id"]
    status, page = await node.get(f"/api/boards/points-weekly/rows?window={window}&from_rank=11")
    assert (status, places(page)) == (200, STANDINGS[10:])
    assert (await node.get("/api/boards/points-weekly/rows?window=999999"))[1]["code"] == "window_unknown"


@pytest.mark.usefixtures("league")
async def test_a_cursor_of_another_kind_is_refused(node: InProcessNode) -> None:
    """Also a forged one, whatever it holds: never anything but 200 or 422."""
    _, page = await node.get("/api/boards/points/rows?limit=5")
    cursor = page["next"]
    for query in (
        f"cursor={cursor}&from_rank=2",
        f"cursor={cursor}&window=1",
        "cursor=x",
        "cursor=W10%3D",
        "from_rank=0",
    ):
        status, refused = await node.get(f"/api/boards/points/rows?{query}")
        assert (status, refused["code"]) == (422, "invalid_request"), query
    for key in ("00" * 24, "ff" * 24, "80" + "00" * 23, "7f" * 24):
        for window in (1, 2, 2**63 - 1):
            forged = base64.urlsafe_b64encode(msgspec.json.encode([window, "e", 1, key])).decode()
            assert (await node.get(f"/api/boards/points/rows?cursor={forged}"))[0] in (200, 404), (key, window)
    for keys in (
        [1, "e", 1, "zz" * 24],
        [1, "e", 1, " " * 48],
        [1, "e", 1, "00"],
        [-1, "e", 1, "00" * 24],
        ["1", "e", 1, ""],
    ):
        forged = base64.urlsafe_b64encode(msgspec.json.encode(keys)).decode()
        status, refused = await node.get(f"/api/boards/points/rows?cursor={forged}")
        assert status in (404, 422), keys


@pytest.mark.usefixtures("league")
async def test_friends_are_ranked_on_the_board_and_among_themselves(node: InProcessNode) -> None:
    """Best first, whatever the order and the case of the names; without a score last; unknown names apart."""
    await node.register("newcomer")
    asked = ["p03", "P11", "newcomer", "p07", "p03", "stranger"]
    status, found = await node.post("/api/boards/points/ranks", {"usernames": asked})
    assert (status, found["total_users"], found["rank_state"], found["unknown"]) == (200, 12, "exact", ["stranger"])
    rows = [(row["username"], row["rank"], row["rank_within"], row["score"]) for row in found["rows"]]
    assert rows == [("p11", 2, 1, 110), ("p07", 6, 2, 70), ("p03", 10, 3, 30), ("newcomer", None, None, None)]
    assert (await node.post("/api/boards/none/ranks", {"usernames": ["p01"]}))[1]["code"] == "board_unknown"
    for usernames, path in (([], "$.usernames"), (["p01"] * 501, "$.usernames"), (["p01", ""], "$.usernames[1]")):
        status, refused = await node.post("/api/boards/points/ranks", {"usernames": usernames})
        assert (status, refused["path"]) == (422, path)
    assert (await node.post("/api/boards/points/ranks", {"usernames": ["a\0b"]}))[1]["unknown"] == ["a\0b"]


async def test_banned_and_shadowed_friends_are_not_ranked(node: InProcessNode, league: dict[str, Any]) -> None:
    """A banned user is unknown, a shadowed one has no score for others; and sees the own rank."""
    operator = await of_role(node, "admin", "root")
    for name, status in (("p12", "banned"), ("p11", "shadowed")):
        body = {"status": status, "reason": "a test"}
        path = f"/api/admin/users/{league[name]['user']['id']}/status"
        assert (await call(node, "PUT", path, operator, body))[0] == 200
    asked = {"usernames": ["p10", "p11", "p12"]}
    _, found = await node.post("/api/boards/points/ranks", asked)
    assert [(row["username"], row["rank"], row["rank_within"]) for row in found["rows"]] == [
        ("p10", 1, 1),
        ("p11", None, None),
    ]
    assert found["unknown"] == ["p12"]
    _, own = await node.post("/api/boards/points/ranks", asked, league["p11"]["access_token"])
    assert [(row["username"], row["rank"], row["rank_within"]) for row in own["rows"]] == [("p11", 1, 1), ("p10", 2, 2)]


@pytest.mark.usefixtures("league")
async def test_an_unchanged_board_is_not_sent_again(node: InProcessNode) -> None:
    """304 without a body, however the ETag is sent back; 200 once a user has scored."""
    etag = (await get(node, TOP)).headers["etag"]
    for sent in (etag, f"W/{etag}", f'"other", {etag}', f'{etag},"other"', f'W/"x" ,W/{etag}', "*"):
        reply = await get(node, TOP, If_None_Match=sent)
        assert (reply.status, reply.body, reply.headers["etag"]) == (304, b"", etag), sent
    twice = f'GET {TOP} HTTP/1.1\r\nHost: x\r\nIf-None-Match: "a"\r\nIf-None-Match: {etag}\r\n\r\n'
    assert (await exchange(node.url, twice.encode())).status == 304
    for sent in ("", '""', etag.strip('"'), etag[:-1], etag[1:], f'"x{etag[1:]}', f'{etag[:-1]}x"', '"*"', '"a,*,b"'):
        assert (await get(node, TOP, If_None_Match=sent)).status == 200, sent
    await node.complete(await node.token(), "a-1")
    reply = await get(node, TOP, If_None_Match=etag)
    assert reply.status == 200
    assert reply.headers["etag"] != etag


@pytest.mark.usefixtures("league")
async def test_boards_of_different_sizes_have_different_etags(node: InProcessNode) -> None:
    small, large = await get(node, TOP + "?limit=1"), await get(node, TOP + "?limit=10")
    assert small.headers["etag"] != large.headers["etag"]


@contextlib.asynccontextmanager
async def no_free_connection(node: InProcessNode) -> AsyncIterator[None]:
    """Hold every connection of the pool, so that a caller that needs one waits in vain."""
    pool = node.services.pool
    held: list[Any] = []
    try:
        while len(held) < pool.get_max_size():
            try:
                held.append(await pool.acquire(timeout=0.3))
            except TimeoutError:
                break
        yield
    finally:
        for connection in held:
            await pool.release(connection)


async def test_reading_a_board_again_costs_no_query(node: InProcessNode, league: dict[str, Any]) -> None:
    """A hundred reads are served while not one connection is free; a read that needs one says 503."""
    first = await get(node, TOP)
    async with no_free_connection(node):
        replies = await asyncio.gather(*(get(node, TOP) for _ in range(100)))
        assert all((reply.status, reply.body) == (200, first.body) for reply in replies)
        assert (await get(node, "/api/boards/points")).body == first.body
        assert (await get(node, "/api/boards")).status == (await get(node, "/api/action-types")).status == 200
        needing = await get(node, "/api/boards/points/rank/p01")
    assert (needing.status, needing.json()["code"]) == (503, "database_unavailable")
    assert needing.headers["retry-after"] == "1"


@pytest.mark.usefixtures("league")
async def test_around_shows_a_user_among_its_neighbours(node: InProcessNode) -> None:
    """Radius on each side, cut at the ends of the board; the name in any case."""
    for name, radius, first, last in (("p06", 2, 5, 9), ("P06", 0, 7, 7), ("p12", 3, 1, 4), ("p01", 50, 1, 12)):
        status, around = await node.get(f"/api/boards/points/around/{name}?radius={radius}")
        assert status == 200
        assert places(around) == STANDINGS[first - 1 : last]
    _, around = await node.get("/api/boards/points/around/p06")
    assert len(around["rows"]) == 11


@pytest.mark.usefixtures("league")
async def test_top_around_and_rank_say_the_same_of_the_same_instant(node: InProcessNode) -> None:
    """One seq, one truth."""
    _, top = await node.get(TOP + "?limit=100")
    for rank, name, score in places(top):
        _, place = await node.get(f"/api/boards/points/rank/{name}")
        _, around = await node.get(f"/api/boards/points/around/{name}?radius=0")
        assert (place["rank"], place["score"], place["username"]) == (rank, score, name)
        assert places(around) == [(rank, name, score)]
        assert {view["seq"] for view in (top, place, around)} == {top["seq"]}
        assert {view["epoch"] for view in (top, place, around)} == {top["epoch"]}


async def test_who_has_not_scored_has_no_rank(node: InProcessNode) -> None:
    """Null in /rank and /me, never 0; no one is around."""
    token = await node.token("ada")
    status, place = await node.get("/api/boards/points/rank/ada")
    assert (status, place["rank"], place["score"], place["total_users"]) == (200, None, None, 0)
    status, problem = await node.get("/api/boards/points/around/ada")
    assert (status, problem["code"]) == (404, "user_unknown")
    _, me = await node.get("/api/me", token)
    assert [(place["board"], place["rank"]) for place in me["places"]] == [("points", None), ("points-weekly", None)]


async def test_unknown_boards_and_users_are_named(node: InProcessNode) -> None:
    """404 with which of the two is unknown, and what boards there are."""
    await node.register("ada")
    for path in ("/api/boards/nope", "/api/boards/nope/rank/ada", "/api/boards/nope/around/ada"):
        status, problem = await node.get(path)
        assert (status, problem["code"]) == (404, "board_unknown")
        assert "points-weekly" in problem["detail"]
    for path in ("/api/boards/points/rank/stranger", "/api/boards/points/around/stranger"):
        status, problem = await node.get(path)
        assert (status, problem["code"]) == (404, "user_unknown")


async def test_me_shows_my_places_and_my_latest_actions(node: InProcessNode, league: dict[str, Any]) -> None:
    """Every board, newest action first, as many as asked for; nothing of anybody else."""
    token = league["p03"]["access_token"]
    _, me = await node.get("/api/me?recent=2", token)
    assert me["user"] == league["p03"]["user"]
    assert [(place["board"], place["rank"], place["score"]) for place in me["places"]] == [
        ("points", 10, 30),
        ("points-weekly", 10, 30),
    ]
    assert [action["action_identifier"] for action in me["recent_actions"]] == ["a-2", "a-1"]
    assert [action["new_score"] for action in me["recent_actions"]] == [30, 20]
    assert (await node.get("/api/me?recent=0", token))[1]["recent_actions"] == []


async def test_a_receipt_is_shown_to_its_owner_only(node: InProcessNode) -> None:
    ada, bob = await node.token(), await node.token()
    await node.complete(ada, "a/1 ä")
    status, receipt = await node.get("/api/receipts/a%2F1%20%C3%A4", ada)
    assert (status, receipt["action_identifier"]) == (200, "a/1 ä")
    status, problem = await node.get("/api/receipts/a%2F1%20%C3%A4", bob)
    assert (status, problem["code"]) == (404, "receipt_unknown")


@pytest.mark.usefixtures("league")
async def test_head_tells_what_get_would_send(node: InProcessNode) -> None:
    """The same status and headers, no body; the connection stays in step."""
    for path in (TOP, "/api/boards", "/api/docs", "/livez", "/api/openapi.json", "/static/style.css"):
        got, told = await get(node, path), await get(node, path, "HEAD")
        assert (told.status, told.body) == (got.status, b"")
        for name in ("content-type", "content-length", "etag", "cache-control"):
            assert told.headers.get(name) == got.headers.get(name), (path, name)


async def test_every_reply_carries_the_security_headers(node: InProcessNode) -> None:
    """Pages, data, refusals, 304, 204 and bytes that are not HTTP."""
    etag = (await get(node, TOP)).headers["etag"]
    logout = b'{"refresh_token":"x"}'
    replies = [
        await get(node, "/"),
        await get(node, "/metrics"),
        await get(node, TOP),
        await get(node, TOP, If_None_Match=etag),
        await get(node, "/nothing"),
        await get(node, TOP, "DELETE"),
        await get(node, "/api/me"),
        await get(node, "/api/live"),
        await get(node, TOP + "?limit=0"),
        await exchange(node.url, request("POST", "/api/auth/logout", {"Content-Type": "application/json"}, logout)),
        await exchange(node.url, b"nonsense\r\n\r\n"),
        await exchange(node.url, b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"),
    ]
    assert [reply.status for reply in replies] == [200, 200, 200, 304, 404, 405, 401, 426, 422, 204, 400, 404]
    for reply in replies:
        assert reply.headers["x-content-type-options"] == "nosniff", reply
        assert reply.headers["content-security-policy"].startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]
        assert reply.headers["referrer-policy"] == "no-referrer"
        assert reply.headers["server"] == "laurels"
        assert reply.headers["x-request-id"]


async def test_what_is_personal_is_never_kept_by_a_cache(node: InProcessNode) -> None:
    """no-store for tokens, receipts, me and every refusal; boards may be kept and asked about."""
    tokens = await node.register()
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    await node.complete(tokens["access_token"], "a-1")
    for path in ("/api/me", "/api/receipts/a-1", "/api/receipts/none", "/nothing"):
        assert (await get(node, path, **bearer)).headers["cache-control"] == "no-store"
    async with node.http.post(f"{node.url}/api/auth/refresh", json={"refresh_token": tokens["refresh_token"]}) as reply:
        assert (reply.status, reply.headers["Cache-Control"]) == (200, "no-store")
    assert (await get(node, TOP)).headers["cache-control"] == "no-cache"
