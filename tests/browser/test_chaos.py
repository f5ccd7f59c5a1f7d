"""A page's board is the truth after every reconnect, whatever happens to its socket."""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, WebSocket
from tests.browser.balancer import Balancer
from tests.browser.steps import expect_rows, expect_state, newcomer

PLAYERS = 14
LONGEST_LIFE = 0.6
"""Seconds after which a socket is cut at the latest, counted from where the page is live."""
WATCH = """
window.lives = 0; window.held = null; window.wentBack = [];
addEventListener("laurels-state", ({ target, detail: { state } }) => {
  if (state === "live" && target.was !== "live") window.lives += 1;
  target.was = state;
});
addEventListener("laurels-board", ({ detail: { board } }) => {
  if (held?.epoch === board.epoch && board.seq < held.seq) wentBack.push([held.seq, board.seq]);
  window.held = board;
});
"""
HELD_IS = """([total, rows]) => held?.total_users === total && rows === JSON.stringify(
  held.rows.map(({ rank, username, score, movement }) => [rank, username, String(score), movement]))"""


@pytest.mark.parametrize("seconds", [8, pytest.param(120, marks=[pytest.mark.slow, pytest.mark.timeout(300)])])
def test_a_page_that_is_cut_at_random_rebuilds_the_truth(laurels_server: Any, chromium: Browser, seconds: int) -> None:
    """By resuming with nothing, a delta or the whole; what is drawn is what is held; it never goes back."""
    line = Balancer(laurels_server.port)
    page = chromium.new_context(reduced_motion="reduce", locale="en-GB").new_page()
    resumed: Counter[str] = Counter()
    page.on("websocket", lambda socket: note_resumptions(socket, resumed))
    page.add_init_script(WATCH)
    try:
        page.goto(line.url)
        expect_state(page, "live")
        with changes(laurels_server) as still:
            cuts = cut_until(page, line, laurels_server, still, time.monotonic() + seconds)
        expect_rows(page, truth(laurels_server)["rows"])
        assert page.evaluate("() => wentBack") == []
    finally:
        page.context.close()
        line.close()
    assert cuts >= seconds / 2
    assert resumed.total() > cuts
    assert set(resumed) == {"current", "delta", "snapshot"}, resumed


def cut_until(page: Page, line: Balancer, server: Any, still: threading.Lock, end: float) -> int:
    """Cut the page's line again and again, every other time while nothing changes; how often."""
    cuts = 0
    while time.monotonic() < end:
        lives = page.evaluate("() => lives")
        page.wait_for_timeout(1000 * random.uniform(0.0, LONGEST_LIFE))
        if cuts % 2:
            line.cut()
            page.wait_for_function("(before) => lives > before", arg=lives)
        with still:
            told = truth(server)
            if not cuts % 2:
                holds(page, told)
                line.cut()
                page.wait_for_function("(before) => lives > before", arg=lives)
            holds(page, told)
        cuts += 1
    return cuts


def holds(page: Page, told: dict[str, Any]) -> None:
    """The page gets to hold exactly this board."""
    rows = [[row["rank"], row["username"], str(row["score"]), row["movement"]] for row in told["rows"]]
    text = json.dumps(rows, separators=(",", ":"), ensure_ascii=False)
    page.wait_for_function(HELD_IS, arg=[told["total_users"], text])


def truth(server: Any) -> dict[str, Any]:
    board: dict[str, Any] = server.get("/api/boards/points?limit=10")
    return board


@contextlib.contextmanager
def changes(server: Any) -> Iterator[threading.Lock]:
    """People complete actions all the time; who holds the lock knows that nothing is being changed."""
    tokens = [newcomer(server)[1] for _ in range(PLAYERS)]
    still, over = threading.Lock(), threading.Event()

    def change() -> None:
        while not over.is_set():
            with still:
                server.complete(random.choice(tokens))
            time.sleep(0.001)  # a lock that is taken at once is never had by others

    changing = threading.Thread(target=change)
    changing.start()
    try:
        yield still
    finally:
        over.set()
        changing.join()


def note_resumptions(socket: WebSocket, resumed: Counter[str]) -> None:
    def received(payload: str | bytes) -> None:
        frame = json.loads(payload)
        if frame["type"] == "subscribed":
            resumed[frame["resumed"]] += 1

    socket.on("framereceived", received)
