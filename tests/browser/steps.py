"""Steps that the tests of the pages share."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect
from tests.support.server import PASSWORD

PATIENCE_MS = 10_000
TOP_LIST = "/api/boards/points?limit=100"
SHOWN_ROWS = 10
MOST_ACTIONS_TO_RISE = 100

OpenPage = Callable[..., Any]  # `chromium_page` of conftest.py: (path, width, dark, before) -> Visit


def newcomer(server: Any, prefix: str = "user-") -> tuple[str, str]:
    """Register a new user: (username, access token)."""
    name = prefix + secrets.token_hex(4)[: 32 - len(prefix)]
    return name, server.register(name)


def rise(server: Any, name: str, token: str) -> None:
    """Complete actions until `name` is on the top list: one on a fresh board, more when others were there before."""
    for _ in range(MOST_ACTIONS_TO_RISE):
        server.complete(token)
        if any(one["username"] == name for one in top_list(server)):
            return
    pytest.fail(f"{name} did not reach the top list in {MOST_ACTIONS_TO_RISE} actions")


def live_page(chromium_page: OpenPage) -> Any:
    visit = chromium_page()
    expect_state(visit.page, "live")
    return visit


def row(page: Page, username: str) -> Locator:
    return page.locator(f"tr[data-username={json.dumps(username)}]")


def top_list(server: Any) -> list[dict[str, Any]]:
    return server.get(TOP_LIST)["rows"][:SHOWN_ROWS]


def expect_state(page: Page, state: str) -> None:
    expect(page.locator("html")).to_have_attribute("data-live", state)


def expect_drawn(page: Page) -> None:
    """The page has got its data, whichever page it is."""
    expect(page.locator("body")).to_have_attribute("data-view", re.compile("ready|empty"))


def expect_rows(page: Page, rows: list[dict[str, Any]]) -> None:
    shown = page.locator("laurels-board .rows tr")
    expect(shown).to_have_count(len(rows))
    for place, wanted in enumerate(rows):
        expect(shown.nth(place)).to_have_attribute("data-username", wanted["username"])
        expect(shown.nth(place)).to_have_attribute("data-score", str(wanted["score"]))
        expect(shown.nth(place)).to_have_attribute("data-rank", str(wanted["rank"]))
        expect(shown.nth(place).locator(".score")).to_have_text(f"{wanted['score']:,}")


def sign_in(page: Page, username: str, password: str) -> None:
    """Through the dialog that is open."""
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Username").fill(username)
    dialog.get_by_label("Password").fill(password)
    dialog.get_by_role("button", name="Sign in").click()
    expect(dialog).to_have_count(0)


def console(server: Any, chromium_page: OpenPage, role: str = "admin", **options: Any) -> Any:
    """Return a visit to the console as a user with this role."""
    name = operator(server, role)
    visit = chromium_page("/admin", **options)
    visit.page.get_by_role("main").get_by_role("button", name="Sign in").click()
    sign_in(visit.page, name, PASSWORD)
    return visit


def operator(server: Any, role: str = "admin") -> str:
    """Return the name of a new user with this role."""
    name, _ = newcomer(server, prefix="operator-")
    server.sql(f"UPDATE users SET role = '{role}' WHERE username = '{name}'")
    return name


def go(page: Page, section: str) -> None:
    page.get_by_role("navigation", name="Console").get_by_role("link", name=section, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(section)


def serious_faults(page: Page) -> list[Any]:
    """Return the barriers that axe-core finds: (rule, where)."""
    violations = Axe().run(page).response["violations"]
    return [
        (one["id"], [node["target"] for node in one["nodes"]])
        for one in violations
        if one["impact"] in {"serious", "critical"}
    ]


def sideways(page: Page) -> int:
    """Pixels by which the page is wider than the window."""
    return page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
