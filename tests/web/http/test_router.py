"""The way past aiohttp's resolver leads where the resolver leads, or nowhere."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from laurels.web.api.routes import ROUTES
from laurels.web.http.router import Router

METHODS = ["GET", "POST", "PUT", "DELETE", "HEAD"]
WITH_PARAMETERS = [route for route in ROUTES if route.params is not None or "{" not in route.path]
PARTS = st.one_of(
    st.sampled_from(sorted({part for route in ROUTES for part in route.path.split("/")})),
    st.text(max_size=8).map(quote),
    st.sampled_from(["a%2Fb", "%25", "{slug}", ".", "..", "a b", "é", "x;y=1", "a+b"]),
)
PATHS = st.one_of(
    st.lists(PARTS, max_size=6).map("/".join).map("/".__add__),
    st.sampled_from(WITH_PARAMETERS).flatmap(
        lambda route: st.lists(PARTS, min_size=4, max_size=4).map(
            lambda parts: "/".join(
                parts[at % 4] if part.startswith("{") else part for at, part in enumerate(route.path.split("/"))
            )
        )
    ),
)


def _tables() -> tuple[web.UrlDispatcher, Router]:
    """Every route leads to a function of its own, by both ways."""
    app, router = web.Application(), Router()
    for route in ROUTES:

        async def endpoint(_: web.Request, __: Any = None) -> web.StreamResponse:
            raise AssertionError("it is only looked for")

        app.router.add_route(route.method, route.path, endpoint)
        if route in WITH_PARAMETERS:
            router.add(route.method, route.path, endpoint)
    return app.router, router


ROUTER, SHORTCUTS = _tables()


@given(st.sampled_from(METHODS), PATHS)
def test_a_shortcut_finds_what_the_resolver_finds(method: str, path: str) -> None:
    """The same endpoint with the same parameters, for any path: escapes, slashes, empty parts, braces."""
    request = make_mocked_request(method, path)
    found = SHORTCUTS.find(request)
    if found is None:
        return
    endpoint, in_path = found
    resolved = finish(ROUTER.resolve(request))
    assert (resolved.handler, dict(resolved)) == (endpoint, dict(in_path))


@pytest.mark.parametrize(
    "path", ["/api/scoreboard", "/api/boards/points/rank/ada", "/api/boards/points/around/ada?radius=3"]
)
def test_reads_of_boards_take_the_shortcut(path: str) -> None:
    assert SHORTCUTS.find(make_mocked_request("GET", path)) is not None


def finish(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that never waits."""
    with pytest.raises(StopIteration) as stopped:
        work.send(None)
    return stopped.value.value
