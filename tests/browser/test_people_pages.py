"""Finding a person, their page, the weeks that are over, and the overlay for streams."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect
from tests.browser.steps import (
    OpenPage,
    expect_state,
    live_page,
    newcomer,
    rise,
    row,
    serious_faults,
    sideways,
    sign_in,
)
from tests.support.server import PASSWORD


def test_a_person_is_found_by_the_keyboard_alone(laurels_server: Any, chromium_page: OpenPage) -> None:
    """Type how the name begins, go down, press Enter: their page."""
    name, token = newcomer(laurels_server, prefix="Zelda ")
    laurels_server.complete(token, n=2)
    page = live_page(chromium_page).page

    page.get_by_label("Find a person").focus()
    page.keyboard.type("zelda ")
    expect(page.locator("#found").get_by_role("link", name=name)).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")

    expect(page).to_have_url(re.compile("/u/Zelda"))
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    expect(page.get_by_role("link", name="All time")).to_contain_text("20 points")
    expect(page.get_by_role("img", name=re.compile("to 20 on"))).to_be_visible()


def test_the_search_says_when_there_is_no_one(chromium_page: OpenPage) -> None:
    page = live_page(chromium_page).page
    page.get_by_label("Find a person").fill("not-a-user")
    expect(page.locator("#found")).to_contain_text("No one is called not-a-user")


@pytest.mark.parametrize("name", ["not-a-user", "%FF", "%00", "<b>"])
def test_a_page_of_no_one_says_so(chromium_page: OpenPage, name: str) -> None:
    """Any address under /u/ is answered, also one that is neither a name nor text."""
    page = chromium_page(f"/u/{name}").page
    expect(page.get_by_text("No one here is called")).to_be_visible()


def test_only_the_owner_sees_the_ledger(laurels_server: Any, chromium_page: OpenPage) -> None:
    """In plain words, after signing in; a stranger's page shows no such part."""
    name, token = newcomer(laurels_server)
    laurels_server.complete(token)
    stranger, _ = newcomer(laurels_server)
    page = chromium_page(f"/u/{name}").page
    expect(page.get_by_role("heading", name="Places")).to_be_visible()
    expect(page.get_by_text("Your ledger")).to_have_count(1)
    expect(page.get_by_text("Your ledger")).to_be_hidden()

    page.get_by_role("button", name="Sign in").click()
    sign_in(page, name, PASSWORD)
    expect(page.locator("#ledger")).to_contain_text("You completed lesson")
    expect(page.locator("#ledger")).to_contain_text("+10")
    expect(page.locator("#ledger")).to_contain_text("All rows together: 10. That is your score.")

    page.goto(f"/u/{stranger}")
    expect(page.get_by_role("heading", name="Places")).to_be_visible()
    expect(page.get_by_text("Your ledger")).to_be_hidden()


def test_a_wrong_password_is_told_in_the_dialog(laurels_server: Any, chromium_page: OpenPage) -> None:
    name, _ = newcomer(laurels_server)
    page = live_page(chromium_page).page
    page.get_by_role("button", name="Sign in").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Username").fill(name)
    dialog.get_by_label("Password").fill("not the password")
    dialog.get_by_role("button", name="Sign in").click()
    expect(dialog.get_by_role("alert")).to_have_text("Username or password is wrong.")


def test_the_own_row_is_pinned_below_the_top(laurels_server: Any, chromium_page: OpenPage) -> None:
    """A signed-in user who is not among the rows stands below them between neighbours; once among them, only there."""
    for _ in range(11):
        rise(laurels_server, *newcomer(laurels_server))
    name, token = newcomer(laurels_server)
    laurels_server.complete(token)
    page = live_page(chromium_page).page
    page.get_by_role("button", name="Sign in").click()
    sign_in(page, name, PASSWORD)

    pinned = page.locator(".pinned tr[data-mine]")
    expect(pinned).to_have_attribute("data-username", name)
    expect(page.locator(".rows tr[data-mine]")).to_have_count(0)

    rise(laurels_server, name, token)
    expect(page.locator(".rows tr[data-mine]")).to_have_attribute("data-username", name)
    expect(pinned).to_have_count(0)


def test_a_week_that_is_over_can_be_looked_at(laurels_server: Any, chromium_page: OpenPage) -> None:
    """Its address can be shared; it is final, not live, and the way back is the same choice."""
    page = chromium_page("/#points-weekly").page
    expect_state(page, "live")
    laurels_server.sql(
        "INSERT INTO windows (board_id, starts_at, ends_at) SELECT id, date_trunc('week', now()) - interval '1 week', "
        "date_trunc('week', now()) FROM boards WHERE slug = 'points-weekly' ON CONFLICT DO NOTHING"
    )
    page.reload()
    page.get_by_label("Show").select_option(index=1)

    expect(page).to_have_url(re.compile(r"#points-weekly/\d+$"))
    expect(page.locator("#state_word")).to_have_text("Final")
    expect(page.get_by_text("No scores yet.")).to_be_visible()
    page.get_by_label("Show").select_option(index=0)
    expect_state(page, "live")


def test_the_overlay_is_a_board_and_nothing_else(laurels_server: Any, chromium_page: OpenPage) -> None:
    """As many rows as its address asks for, live, on a page that is transparent."""
    for _ in range(3):
        rise(laurels_server, *newcomer(laurels_server))
    visit = chromium_page("/overlay/points?size=2&title=My%20stream")
    expect(visit.page.locator(".rows tr")).to_have_count(2)
    expect(visit.page.get_by_role("heading")).to_have_text("My stream")
    background = visit.page.evaluate("() => getComputedStyle(document.documentElement).backgroundColor")
    assert background == "rgba(0, 0, 0, 0)"

    name, token = newcomer(laurels_server)
    laurels_server.complete(token, n=100)
    expect(row(visit.page, name)).to_be_visible()
    assert visit.complaints == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_persons_page_is_for_everyone(laurels_server: Any, chromium_page: OpenPage, dark: bool) -> None:
    """Axe-core finds no barrier, nothing scrolls sideways at 320 pixels, nothing is logged, in light and dark."""
    name, token = newcomer(laurels_server, prefix="W" * 28)
    laurels_server.complete(token)
    visit = chromium_page(f"/u/{name}", width=320, dark=dark)
    expect(visit.page.locator("body")).to_have_attribute("data-view", "ready")
    assert sideways(visit.page) == 0
    assert serious_faults(visit.page) == []
    assert visit.complaints == []
