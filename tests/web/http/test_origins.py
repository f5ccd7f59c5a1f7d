"""Pages of other sites: only those that the operator lists may read replies, and all may import the clients."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.support.node import InProcessNode, running_node

from laurels.config import Settings

FRIEND, STRANGER = "https://game.example", "https://evil.example"


@pytest.fixture
async def open_node(settings: Settings) -> AsyncIterator[InProcessNode]:
    async with running_node(replace(settings, origins=f"{FRIEND}, http://localhost:3000")) as node:
        yield node


async def sent(node: InProcessNode, method: str, path: str, **headers: str) -> tuple[int, dict[str, str]]:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    async with node.http.request(method, node.url + path, headers=fields) as reply:
        return reply.status, dict(reply.headers)


async def test_a_listed_origin_may_read_and_others_may_not(open_node: InProcessNode) -> None:
    """Also refusals, so that a page can say what is wrong; caches learn that the answer depends on the origin."""
    for path, status in (("/api/boards", 200), ("/api/boards/nowhere", 404)):
        got, headers = await sent(open_node, "GET", path, Origin=FRIEND)
        assert (got, headers["Access-Control-Allow-Origin"], headers["Vary"]) == (status, FRIEND, "Origin")
        got, headers = await sent(open_node, "GET", path, Origin=STRANGER)
        assert (got, headers.get("Access-Control-Allow-Origin"), headers["Vary"]) == (status, None, "Origin")
        assert (await sent(open_node, "GET", path))[1]["Vary"] == "Origin"


async def test_a_browser_that_asks_first_is_told_what_it_may_send(open_node: InProcessNode) -> None:
    """A preflight names the methods of the path; a stranger's is refused like any OPTIONS."""
    asked = {"Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "authorization,content-type"}
    status, headers = await sent(open_node, "OPTIONS", "/api/actions/complete", Origin=FRIEND, **asked)
    assert (status, headers["Access-Control-Allow-Origin"]) == (204, FRIEND)
    assert headers["Access-Control-Allow-Methods"] == "POST"
    assert {"authorization", "content-type"} <= set(headers["Access-Control-Allow-Headers"].lower().split(", "))
    for stranger in ({"Origin": STRANGER, **asked}, asked, {"Origin": FRIEND}):
        status, headers = await sent(open_node, "OPTIONS", "/api/actions/complete", **stranger)
        assert status == 405
        assert "Access-Control-Allow-Methods" not in headers


async def test_without_a_list_no_other_site_may_read(node: InProcessNode) -> None:
    """The default; the files of the clients can be imported all the same."""
    _, headers = await sent(node, "GET", "/api/boards", Origin=FRIEND)
    assert "Access-Control-Allow-Origin" not in headers
    status, headers = await sent(node, "GET", "/static/style.css", Origin=FRIEND)
    assert (status, headers["Access-Control-Allow-Origin"]) == (200, "*")


async def test_a_star_lets_everybody_read(settings: Settings) -> None:
    async with running_node(replace(settings, origins="*")) as node:
        _, headers = await sent(node, "GET", "/api/boards", Origin=STRANGER)
        assert headers["Access-Control-Allow-Origin"] == "*"
