"""Held actions are decided in the console, with the mouse or without, and the board follows the decision."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.browser.steps import PATIENCE_MS, OpenPage, console, go, newcomer, operator
from tests.support.polling import soon
from tests.support.server import PASSWORD

DOCS = Path(__file__).parents[2] / "docs"
MOST_TABS = 60
FOCUSED = """() => {
  const focused = document.activeElement;
  return focused?.matches("a, button") ? focused.textContent.trim() : (focused?.name ?? "");
}"""


@pytest.fixture
def fight(laurels_server: Any) -> str:
    """Create a type that no one can complete within a minute of a lesson; worth 500."""
    admin = operator(laurels_server)
    token = laurels_server.post("/api/auth/login", {"username": admin, "password": PASSWORD})["access_token"]
    kind = f"fight-{secrets.token_hex(3)}"
    rules = {"watch": {"sequence": [{"action_type": "lesson", "min_seconds": 60}]}}
    body = {"name": kind, "base_score": 500, "scoring_rules": rules}
    laurels_server.post("/api/admin/action-types", body, token)
    return kind


def suspect(server: Any, kind: str, fights: int) -> str:
    """Register a user with a lesson who then did so many impossible things: all of them are held."""
    name, token = newcomer(server, prefix="suspect-")
    server.complete(token)
    for _ in range(fights):
        assert server.complete(token, kind)["status"] == "held"
    return name


def expect_score(server: Any, name: str, score: int) -> None:
    """The board gets there: what a moderator decides reaches it through the journal."""
    soon(
        lambda: server.get(f"/api/boards/points/rank/{name}")["score"],
        lambda shown: shown == score,
        within=PATIENCE_MS / 1000,
    )


def test_what_is_held_counts_when_it_is_let_and_never_when_it_is_rejected(
    laurels_server: Any, chromium_page: OpenPage, fight: str
) -> None:
    """Two held actions of one person: reasons are asked for, one adds its points, the other adds none."""
    name = suspect(laurels_server, fight, fights=2)
    expect_score(laurels_server, name, 10)
    page = console(laurels_server, chromium_page, role="moderator").page
    go(page, "Review")
    rows, dialog = page.get_by_role("row", name=name), page.get_by_role("dialog")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("impossible_sequence")

    rows.first.get_by_role("button", name="Let it count").click()
    expect(dialog).to_contain_text("500 points count")
    dialog.get_by_role("button", name="Let it count").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Reason")
    dialog.get_by_label("Reason").fill("filmed, and it is possible")
    dialog.get_by_role("button", name="Let it count").click()
    expect(page.locator("#told")).to_have_text("It counts.")
    expect(rows).to_have_count(1)
    expect_score(laurels_server, name, 510)

    rows.first.get_by_role("button", name="Reject").click()
    expect(dialog).to_contain_text("It never counts")
    dialog.get_by_label("Reason").fill("the second one is not")
    dialog.get_by_role("button", name="Reject").click()
    expect(page.locator("#told")).to_have_text("It is rejected.")
    expect(rows).to_have_count(0)
    expect_score(laurels_server, name, 510)


def test_the_queue_can_be_asked_for_each_detector(laurels_server: Any, chromium_page: OpenPage) -> None:
    """Every code that docs/detectors.md names is a choice, and no other."""
    named = set(re.findall(r"^\| `(\w+)` \|", (DOCS / "detectors.md").read_text(), re.MULTILINE))
    page = console(laurels_server, chromium_page, role="moderator").page
    go(page, "Review")
    choices = page.get_by_label("Held by").locator("option").all_inner_texts()
    assert set(choices) == named | {"any detector"}


def test_an_open_board_moves_when_a_held_action_is_let_count(
    laurels_server: Any, chromium_page: OpenPage, fight: str
) -> None:
    """Without a reload: the screen that shows this person pinned or ranked gets the new score."""
    name = suspect(laurels_server, fight, fights=1)
    board = chromium_page("/overlay/points?size=100").page
    shown = board.locator(f'tr[data-username="{name}"]')
    expect(shown).to_have_attribute("data-score", "10")
    page = console(laurels_server, chromium_page).page
    go(page, "Review")
    page.get_by_role("row", name=name).get_by_role("button", name="Let it count").click()
    page.get_by_role("dialog").get_by_label("Reason").fill("seen")
    page.get_by_role("dialog").get_by_role("button", name="Let it count").click()
    expect(shown).to_have_attribute("data-score", "510")


def test_a_held_action_is_decided_by_keyboard_alone(laurels_server: Any, chromium_page: OpenPage, fight: str) -> None:
    """From the door to the decision: Tab, Enter and letters."""
    name, moderator = suspect(laurels_server, fight, fights=1), operator(laurels_server, "moderator")
    page = chromium_page("/admin").page
    expect(page.get_by_text("The console is for operators.")).to_be_visible()
    tab_to(page, "Sign in")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_label("Username")).to_be_focused()
    page.keyboard.type(moderator)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    tab_to(page, "Review")
    page.keyboard.press("Enter")
    expect(page.get_by_role("row", name=name)).to_be_visible()
    tab_to(page, name)
    tab_to(page, "Let it count")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_label("Reason")).to_be_focused()
    page.keyboard.type("seen it myself")
    page.keyboard.press("Enter")

    expect(page.locator("#told")).to_have_text("It counts.")
    expect_score(laurels_server, name, 510)


def tab_to(page: Page, text: str) -> None:
    """Press Tab until the thing with this text has the focus, as a person without a mouse does."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if page.evaluate(FOCUSED) == text:
            return
    pytest.fail(f"{text!r} was not reached with {MOST_TABS} tabs")
