"""The board in motion and in trouble: rows glide, nodes die, networks crawl, tokens end, other sites embed it."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, WebSocket, expect
from tests.browser.balancer import Balancer
from tests.browser.steps import OpenPage, expect_rows, expect_state, live_page, newcomer, rise, row, sign_in, top_list
from tests.support.server import PASSWORD, LaurelsServer

EXAMPLE = Path(__file__).parents[2] / "clients" / "js" / "examples" / "page.html"
THREE = """<!doctype html><meta charset="utf-8"><title>three</title>
<script type="module" src="{node}/static/laurels-board.js"></script>
<laurels-board src="{node}" board="points" size="1"></laurels-board>
<laurels-board src="{node}" board="points-weekly" size="2"></laurels-board>
<laurels-board src="{node}" board="points" size="3"></laurels-board>"""
REMEMBER_GLIDES = """
window.glides = 0;
const animate = Element.prototype.animate;
Element.prototype.animate = function (frames, options) {
  if (frames[0].transform) window.glides += 1;
  return animate.call(this, frames, options);
};
"""


def test_rows_glide_to_their_places_and_end_there(laurels_server: Any, chromium_page: OpenPage) -> None:
    """A user who rises passes the others in an animation; when it is over, order, ranks and scores are the API's."""
    for _ in range(3):
        rise(laurels_server, *newcomer(laurels_server))
    name, token = newcomer(laurels_server)
    rise(laurels_server, name, token)

    def moving(page: Page) -> None:
        page.emulate_media(reduced_motion="no-preference")
        page.add_init_script(REMEMBER_GLIDES)

    page = chromium_page(before=moving).page
    expect_state(page, "live")
    leader = top_list(laurels_server)[0]["score"]
    own = next(one["score"] for one in top_list(laurels_server) if one["username"] == name)
    laurels_server.complete(token, n=(leader - own) // 10 + 1)

    expect(row(page, name)).to_have_attribute("data-rank", "1")
    page.wait_for_function("() => window.glides > 0")
    page.wait_for_function(
        "() => document.querySelector('laurels-board').shadowRoot.getAnimations().every((one) => one.id !== 'glide')"
    )
    expect_rows(page, top_list(laurels_server))
    tops = [one.bounding_box()["y"] for one in page.locator("laurels-board .rows tr").all()]
    assert tops == sorted(tops)


def test_rows_do_not_move_for_those_who_prefer_stillness(laurels_server: Any, chromium_page: OpenPage) -> None:
    """With reduced motion, rows are where they belong at once."""
    name, token = newcomer(laurels_server)
    page = chromium_page(before=lambda page: page.add_init_script(REMEMBER_GLIDES)).page
    expect_state(page, "live")
    rise(laurels_server, name, token)
    expect(row(page, name)).to_be_visible()
    assert page.evaluate("() => window.glides") == 0


def test_a_page_recovers_on_another_node(postgres: str, tmp_path: Path, chromium: Browser, laurels_server: Any) -> None:
    """The node is killed; the same address is then served by another one: no reload, nothing missing."""
    first = LaurelsServer(laurels_server.database_url, tmp_path / "first")
    second = LaurelsServer(laurels_server.database_url, tmp_path / "second")
    first.start()
    second.start()
    name, token = newcomer(laurels_server)
    rise(laurels_server, name, token)
    page = chromium.new_context(reduced_motion="reduce", locale="en-GB").new_page()
    balancer = Balancer(first.port)
    try:
        page.goto(balancer.url)
        expect_state(page, "live")
        balancer.port = second.port
        first.kill()
        expect(row(page, name)).to_be_visible()
        second.complete(token)
        wanted = next(one for one in top_list(second) if one["username"] == name)
        expect(row(page, name)).to_have_attribute("data-score", str(wanted["score"]), timeout=30_000)
        expect_state(page, "live")
    finally:
        page.context.close()
        balancer.close()
        second.stop()


def test_a_slow_network_gets_the_newest_board(laurels_server: Any, chromium_page: OpenPage) -> None:
    """Behind a line of 4 kB/s and half a second of delay, the page ends up with what the API says."""
    page = live_page(chromium_page).page
    devtools = page.context.new_cdp_session(page)
    devtools.send("Network.enable")
    slow = {"offline": False, "latency": 500, "downloadThroughput": 4_000, "uploadThroughput": 4_000}
    devtools.send("Network.emulateNetworkConditions", slow)
    tokens = [newcomer(laurels_server)[1] for _ in range(3)]
    for token in tokens:
        laurels_server.complete(token, n=4)
    expect_rows(page, top_list(laurels_server))


def test_an_offline_page_says_so_and_comes_back(laurels_server: Any, chromium_page: OpenPage) -> None:
    page = live_page(chromium_page).page
    page.context.set_offline(True)
    expect(page.locator("#state_word")).to_have_text("Offline")
    name, token = newcomer(laurels_server)
    rise(laurels_server, name, token)
    page.context.set_offline(False)
    expect(row(page, name)).to_be_visible(timeout=30_000)
    expect_state(page, "live")


def test_a_session_outlives_its_token(postgres: str, tmp_path: Path, chromium: Browser, laurels_server: Any) -> None:
    """Tokens of five seconds: the page renews them by itself, stays live, and its own row follows."""
    server = LaurelsServer(laurels_server.database_url, tmp_path / "short", LAURELS_TOKEN_SECONDS="5")
    server.start()
    name, token = newcomer(laurels_server)
    page = chromium.new_context(reduced_motion="reduce", locale="en-GB").new_page()
    try:
        page.goto(server.url)
        page.get_by_role("button", name="Sign in").click()
        sign_in(page, name, PASSWORD)
        with page.expect_response("**/api/auth/refresh", timeout=30_000) as renewed:
            pass
        assert renewed.value.ok
        rise(laurels_server, name, token)
        expect(page.locator("tr[data-mine]")).to_have_attribute("data-username", name, timeout=20_000)
        expect_state(page, "live")
        expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    finally:
        page.context.close()
        server.stop()


def test_a_page_of_another_site_embeds_a_board(
    elsewhere: tuple[str, Path], tmp_path: Path, chromium: Browser, laurels_server: Any
) -> None:
    """The example of the client's README, its origin on the node's list: live rows, the own one pinned over HTTP."""
    origin, folder = elsewhere
    server = LaurelsServer(laurels_server.database_url, tmp_path / "open", LAURELS_ORIGINS=origin)
    server.start()
    for _ in range(6):
        rise(laurels_server, *newcomer(laurels_server))
    name, token = newcomer(laurels_server)
    laurels_server.complete(token)
    example = EXAMPLE.read_text().replace("http://127.0.0.1:8000", server.url)
    (folder / "page.html").write_text(example.replace('user="ada"', f'user="{name}"'))
    page = chromium.new_context(reduced_motion="reduce", locale="en-GB").new_page()
    try:
        page.goto(f"{origin}/page.html")
        expect(page.locator("laurels-board")).to_have_attribute("state", "live")
        expect(page.locator(".rows tr")).to_have_count(5)
        expect(page.locator("tr[data-mine]")).to_have_attribute("data-username", name)
    finally:
        page.context.close()
        server.stop()


def test_the_boards_of_a_page_share_a_socket(
    elsewhere: tuple[str, Path], chromium: Browser, laurels_server: Any
) -> None:
    """Three boards, one connection; each shows its own rows, and the last one that leaves closes it."""
    origin, folder = elsewhere
    for _ in range(3):
        rise(laurels_server, *newcomer(laurels_server))
    (folder / "page.html").write_text(THREE.format(node=laurels_server.url))
    page = chromium.new_context(reduced_motion="reduce", locale="en-GB").new_page()
    sockets: list[WebSocket] = []
    page.on("websocket", lambda socket: sockets.append(socket))  # noqa: PLW0108  Playwright marks handlers
    try:
        page.goto(f"{origin}/page.html")
        boards = page.locator("laurels-board")
        for board, count in zip(boards.all(), (1, 2, 3), strict=True):
            expect(board).to_have_attribute("state", "live")
            expect(board.locator(".rows tr")).to_have_count(count)
        name, token = newcomer(laurels_server)
        rise(laurels_server, name, token)
        laurels_server.complete(token, n=top_list(laurels_server)[0]["score"] // 10 + 1)
        for board in boards.all():
            expect(board.locator(".rows tr").first).to_have_attribute("data-username", name)
        assert len(sockets) == 1
        with sockets[0].expect_event("close"):
            page.evaluate("() => document.querySelectorAll('laurels-board').forEach((one) => one.remove())")
    finally:
        page.context.close()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """(origin, folder) of another site."""
    folder = tmp_path / "site"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    server.server_close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None: ...
