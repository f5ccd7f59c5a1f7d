"""The operators' console: only for operators, by keyboard, every consequence named before it happens."""

from __future__ import annotations

import re
import secrets
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.browser.steps import OpenPage, console, go, newcomer, serious_faults, sideways, sign_in
from tests.support.server import PASSWORD

SECTIONS = ["Overview", "Users", "Review", "Action types", "Boards", "Audit", "API keys", "Settings"]


def test_the_console_is_for_operators(laurels_server: Any, chromium_page: OpenPage) -> None:
    """A stranger is asked to sign in, a player learns who may enter, a moderator sees what moderators may do."""
    name, _ = newcomer(laurels_server)
    page = chromium_page("/admin").page
    expect(page.get_by_text("The console is for operators.")).to_be_visible()
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    sign_in(page, name, PASSWORD)
    expect(page.get_by_text(f"{name} is a player")).to_be_visible()

    page = console(laurels_server, chromium_page, role="moderator").page
    links = page.get_by_role("navigation", name="Console").get_by_role("link")
    expect(links.first).to_have_text("Overview")
    assert "API keys" not in links.all_inner_texts()


def test_numbers_move_while_they_are_looked_at(laurels_server: Any, chromium_page: OpenPage) -> None:
    """Actions a second are read again and again."""
    page = console(laurels_server, chromium_page).page
    _, token = newcomer(laurels_server)
    laurels_server.complete(token, n=20)
    tile = page.locator(".tile", has_text="Actions a second").locator("dd").first
    expect(tile).to_have_text(re.compile("[1-9]"))


def test_a_type_is_made_tried_changed_and_audited(laurels_server: Any, chromium_page: OpenPage) -> None:
    """Rules are tried before they are saved; a wrong one is shown with its path; the trail says who did it and why."""
    page = console(laurels_server, chromium_page).page
    player, _ = newcomer(laurels_server)
    kind = f"raid-{secrets.token_hex(3)}"
    go(page, "Action types")
    page.get_by_role("button", name="New action type").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill(kind)
    dialog.get_by_label("Base score").fill("25")
    dialog.get_by_label("Rules").fill('{"cooldown": 3}')
    dialog.get_by_role("button", name="Make it").click()
    expect(dialog.get_by_role("alert")).to_contain_text("scoring_rules")
    dialog.get_by_label("Rules").fill("{}")
    dialog.get_by_label("Reason").fill("for the spring season")
    dialog.get_by_role("button", name="Make it").click()
    expect(dialog).to_have_count(0)

    page.get_by_role("row", name=kind).get_by_role("button", name="Edit").click()
    dialog.get_by_label("Base score").fill("40")
    dialog.get_by_label("Username to try with").fill(player)
    dialog.get_by_role("button", name="Try it").click()
    expect(dialog.locator(".verdict")).to_contain_text("It would count: 40 points")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("row", name=kind)).to_contain_text("40")

    go(page, "Audit")
    expect(page.get_by_role("row", name=f"action_type:{kind}").last).to_contain_text("for the spring season")


def test_a_board_is_made_and_archived_with_its_consequences_named(laurels_server: Any, chromium_page: OpenPage) -> None:
    page = console(laurels_server, chromium_page).page
    slug = f"b-{secrets.token_hex(3)}"
    go(page, "Boards")
    page.get_by_role("button", name="New board").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Address").fill(slug)
    dialog.get_by_label("Name", exact=True).fill(f"Board {slug}")
    dialog.get_by_role("button", name="Make it").click()
    expect(dialog).to_have_count(0)
    page.get_by_role("row", name=slug).get_by_role("button", name="Archive").click()
    expect(dialog).to_contain_text("It is no longer visible")
    dialog.get_by_role("button", name="Archive").click()
    expect(page.get_by_role("row", name=slug)).to_contain_text("archived")


def test_a_key_is_shown_once_and_revoked(laurels_server: Any, chromium_page: OpenPage) -> None:
    page = console(laurels_server, chromium_page).page
    name = f"server {secrets.token_hex(3)}"
    go(page, "API keys")
    page.get_by_role("button", name="New API key").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_label("actions:write").uncheck()
    dialog.get_by_role("button", name="Make it").click()
    expect(dialog).to_contain_text("Tick what the key may do")
    dialog.get_by_label("admin:read").check()
    dialog.get_by_role("button", name="Make it").click()
    expect(dialog).to_contain_text("Shown only once")
    expect(page.get_by_role("row", name=name)).to_contain_text("admin:read")
    expect(dialog.locator("code").first).to_contain_text("lk_")
    dialog.get_by_role("button", name="I have kept it").click()
    page.get_by_role("row", name=name).get_by_role("button", name="Revoke").click()
    expect(dialog).to_contain_text("cannot be undone")
    dialog.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("row", name=name)).to_contain_text("revoked")


def test_a_users_role_is_changed(laurels_server: Any, chromium_page: OpenPage) -> None:
    page = console(laurels_server, chromium_page).page
    name, _ = newcomer(laurels_server, prefix="promoted-")
    go(page, "Users")
    page.get_by_label("Name begins with").fill(name)
    page.get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    page.get_by_role("button", name="Change role").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Role").select_option("moderator")
    dialog.get_by_role("button", name="Change role").click()
    expect(dialog).to_have_count(0)
    expect(page.locator(".facts-of")).to_contain_text("moderator")


def test_a_user_is_banned_and_let_back_in(laurels_server: Any, chromium_page: OpenPage) -> None:
    """The consequences are named before they happen; a reason is asked for; lifting it brings back what they had."""
    name, token = newcomer(laurels_server, prefix="rascal-")
    laurels_server.complete(token, n=2)
    page = user_page(laurels_server, chromium_page, name)
    dialog = page.get_by_role("dialog")
    page.get_by_role("button", name="Ban").click()
    expect(dialog).to_contain_text("Gone from every board")
    dialog.get_by_role("button", name="Ban").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Reason")
    dialog.get_by_label("Reason").fill("plays with a machine")
    dialog.get_by_role("button", name="Ban").click()
    expect(page.locator(".facts-of")).to_contain_text("banned")

    page.get_by_role("button", name="Lift").click()
    dialog.get_by_label("Reason").fill("a misunderstanding")
    dialog.get_by_role("button", name="Lift").click()
    expect(page.locator(".facts-of")).to_contain_text("active")
    expect(page.locator(".facts-of")).to_contain_text("20")


def test_a_score_is_adjusted_and_a_row_reversed(laurels_server: Any, chromium_page: OpenPage) -> None:
    """Both are rows of the ledger, and the score is theirs at once."""
    name, token = newcomer(laurels_server, prefix="corrected-")
    laurels_server.complete(token, n=2)
    page = user_page(laurels_server, chromium_page, name)
    dialog = page.get_by_role("dialog")
    page.get_by_role("button", name="Adjust score").click()
    dialog.get_by_label("Points to add").fill("-5")
    dialog.get_by_label("Reason").fill("counted by mistake")
    dialog.get_by_role("button", name="Adjust").click()
    expect(page.get_by_role("row", name="counted by mistake")).to_be_visible()

    page.get_by_role("row", name="lesson").first.get_by_role("button", name="Reverse").click()
    expect(dialog).to_contain_text("nothing is deleted")
    dialog.get_by_label("Reason").fill("was not there")
    dialog.get_by_role("button", name="Reverse it").click()
    expect(page.locator("#told")).to_contain_text("The score is 5 now")
    expect(page.locator(".facts-of")).to_contain_text("5")


def test_no_one_is_erased_by_a_slip(laurels_server: Any, chromium_page: OpenPage) -> None:
    """The name must be typed; then the person is gone, for good."""
    name, _ = newcomer(laurels_server, prefix="leaver-")
    page = user_page(laurels_server, chromium_page, name)
    dialog = page.get_by_role("dialog")
    page.get_by_role("button", name="Erase").click()
    dialog.get_by_label("Type the name").fill("someone else")
    dialog.get_by_role("button", name="Erase for good").click()
    expect(dialog.get_by_role("alert")).not_to_be_empty()
    dialog.get_by_label("Type the name").fill(name)
    dialog.get_by_role("button", name="Erase for good").click()
    expect(page.locator("#told")).to_have_text("Erased.")
    expect(page.get_by_role("heading", level=1)).to_have_text("Users")


def user_page(server: Any, chromium_page: OpenPage, name: str) -> Page:
    """The console's page of a user, as an admin."""
    page = console(server, chromium_page).page
    go(page, "Users")
    page.get_by_label("Name begins with").fill(name)
    page.get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    return page


def test_the_console_works_by_keyboard(laurels_server: Any, chromium_page: OpenPage) -> None:
    """The skip link first; a dialog takes the focus, gives it back, and goes away with Escape."""
    page = console(laurels_server, chromium_page).page
    go(page, "Boards")
    opener = page.get_by_role("button", name="New board")
    opener.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_label("Address")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(opener).to_be_focused()


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (320, True)], ids=["desktop", "phone"])
def test_the_console_is_for_everyone(laurels_server: Any, chromium_page: OpenPage, width: int, dark: bool) -> None:
    """Every section: nothing serious for axe-core, nothing sideways, nothing complained of."""
    visit = console(laurels_server, chromium_page, width=width, dark=dark)
    for section in SECTIONS:
        go(visit.page, section)
        expect(visit.page.get_by_text("Reading…")).to_have_count(0)
        assert sideways(visit.page) == 0, section
        assert serious_faults(visit.page) == [], section
    assert visit.complaints == []
