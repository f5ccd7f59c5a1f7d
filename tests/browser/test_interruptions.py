"""A page whose server, line or visitor goes away: it says so, keeps what it has, and is live again by itself."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, WebSocketRoute, expect
from tests.browser.scripted import answering, with_clock
from tests.browser.steps import OpenPage, expect_state, live_page, newcomer, rise, row

PRETEND_HIDDEN = """(hidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_the_page_recovers_by_itself_after_a_restart(laurels_server: Any, chromium_page: OpenPage) -> None:
    """Gone and back: meanwhile the page says so and keeps the board, then it is live again without a reload."""
    name, token = newcomer(laurels_server)
    rise(laurels_server, name, token)
    page = live_page(chromium_page).page
    before = row(page, name).get_attribute("data-score") or ""
    remember_states(page)

    laurels_server.restart()
    expect(row(page, name)).to_be_visible()
    laurels_server.complete(token)

    expect(row(page, name)).not_to_have_attribute("data-score", before, timeout=30_000)
    expect_state(page, "live")
    states = page.evaluate("() => window.statesSeen")
    assert "waiting" in states, f"the page never said that it reconnects: {states}"
    assert states[-1] == "live"


def test_a_server_out_of_reach_is_said_and_tried_again(chromium_page: OpenPage) -> None:
    """When the boards cannot be read the page says so, and one press brings it back."""
    page = chromium_page(before=lambda page: page.route("**/api/boards", lambda route: route.abort())).page
    expect(page.get_by_text("The scoreboard cannot be reached.")).to_be_visible()
    expect_state(page, "waiting")

    page.unroute("**/api/boards")
    page.get_by_role("button", name="Try now").click()

    expect_state(page, "live")


def test_a_minute_of_silence_is_taken_for_a_dead_connection(chromium_page: OpenPage) -> None:
    """A peer that vanished without closing is noticed by the missing heartbeat, and called again."""
    calls: list[WebSocketRoute] = []
    page = chromium_page(before=with_clock(answering(calls))).page
    expect_state(page, "live")

    page.clock.fast_forward(61_000)

    expect(row(page, "ada")).to_have_attribute("data-score", "2")
    assert len(calls) == 2
    expect_state(page, "live")


def test_a_hidden_page_lets_go_and_comes_back(chromium_page: OpenPage) -> None:
    """Hidden for over a minute, a page gives its connection back; shown again, it is live at once."""
    calls: list[WebSocketRoute] = []
    page = chromium_page(before=with_clock(answering(calls))).page
    expect_state(page, "live")

    page.evaluate(PRETEND_HIDDEN, True)
    page.clock.fast_forward(61_000)
    expect_state(page, "paused")
    page.evaluate(PRETEND_HIDDEN, False)

    expect(row(page, "ada")).to_have_attribute("data-score", "2")
    expect_state(page, "live")


def remember_states(page: Page) -> None:
    """Keep each live state in the page: a reload would lose the list, and from here a short one would be missed."""
    page.evaluate(
        """() => {
          const root = document.documentElement;
          window.statesSeen = [root.dataset.live];
          new MutationObserver(() => window.statesSeen.push(root.dataset.live))
            .observe(root, { attributeFilter: ["data-live"] });
        }"""
    )
