"""The board and the API docs are safe with any name, stay at home, and are readable by everyone."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect
from tests.browser.steps import OpenPage, expect_drawn, live_page, newcomer, rise, row, serious_faults, sideways


@pytest.mark.parametrize("hostile", ["<b onload=x>", "<img src=x onerror=alert(1)>"])
def test_a_hostile_name_is_only_text(laurels_server: Any, chromium_page: OpenPage, hostile: str) -> None:
    """A name that is markup is shown letter by letter: nothing of it is built, nothing of it runs."""
    name, token = newcomer(laurels_server, prefix=hostile)
    rise(laurels_server, name, token)
    visit = live_page(chromium_page)

    expect(row(visit.page, name).get_by_role("rowheader")).to_have_text(name)
    expect(visit.page.locator("laurels-board tbody :is(img, b, script)")).to_have_count(0)
    assert visit.complaints == []


@pytest.mark.parametrize("path", ["/", "/api/docs"])
def test_a_page_is_quiet_and_stays_at_home(laurels_server: Any, chromium_page: OpenPage, path: str) -> None:
    """No error in the console, nothing blocked by the content security policy, no request to another host."""
    visit = chromium_page(path)
    expect_drawn(visit.page)

    assert visit.complaints == []
    assert visit.hosts == {laurels_server.url.removeprefix("http://")}


@pytest.mark.parametrize("path", ["/", "/api/docs"])
def test_nothing_sticks_out_at_320_pixels(laurels_server: Any, chromium_page: OpenPage, path: str) -> None:
    """The narrowest phone scrolls down, never sideways, even with the widest name."""
    rise(laurels_server, *newcomer(laurels_server, prefix="W" * 28))
    page = chromium_page(path, width=320).page
    expect_drawn(page)

    assert sideways(page) == 0


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/api/docs"])
def test_axe_finds_nothing_serious(laurels_server: Any, chromium_page: OpenPage, path: str, dark: bool) -> None:
    """Neither page has a serious or critical accessibility fault, by day or by night."""
    rise(laurels_server, *newcomer(laurels_server))
    page = chromium_page(path, dark=dark).page
    expect_drawn(page)

    assert serious_faults(page) == []
