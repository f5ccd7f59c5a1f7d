"""The page of the API docs: every operation, every refusal, found and linked."""

from __future__ import annotations

from playwright.sync_api import Page, expect
from tests.browser.steps import OpenPage, expect_drawn


def test_the_docs_list_every_operation(chromium_page: OpenPage) -> None:
    """All that the API describes is on the page of the docs, once, with a command to try it."""
    page = chromium_page("/api/docs").page
    expect_drawn(page)

    operations = described_operations(page)
    expect(page.locator("article.operation")).to_have_count(len(operations))
    for operation in operations:
        article = page.locator(f'article[id="{operation}"]')
        expect(article.get_by_role("heading", level=3)).to_be_visible()
        expect(article.locator("pre")).to_contain_text("curl ")


def test_the_docs_name_every_problem_code(chromium_page: OpenPage) -> None:
    """Each code that the API may refuse an operation with stands at that operation, once."""
    page = chromium_page("/api/docs").page
    expect_drawn(page)

    for name, codes in described_codes(page).items():
        shown = page.locator(f'article[id="{name}"] .responses code').all_inner_texts()
        assert sorted(set(shown) & codes) == sorted(codes)
        assert len(shown) == len(set(shown)), f"{name} says a code twice"


def test_a_link_to_one_operation_leads_to_it(chromium_page: OpenPage) -> None:
    """The address of an operation can be shared: it opens with that operation in view."""
    page = chromium_page("/api/docs").page
    expect_drawn(page)
    last = described_operations(page)[-1]

    page = chromium_page(f"/api/docs#{last}").page

    expect(page.locator(f'article[id="{last}"] h3')).to_be_in_viewport()


def test_the_filter_leaves_what_matches(chromium_page: OpenPage) -> None:
    """Typing an operation's name leaves it on the page and takes away what does not match."""
    page = chromium_page("/api/docs").page
    expect_drawn(page)
    wanted = described_operations(page)[0]

    page.get_by_role("searchbox").fill(f"{wanted} no-operation-has-this-word")
    expect(page.locator("article.operation:visible")).to_have_count(0)
    page.get_by_role("searchbox").fill(wanted)
    expect(page.locator(f'article[id="{wanted}"]')).to_be_visible()


def described_operations(page: Page) -> list[str]:
    paths = page.request.get("/api/openapi.json").json()["paths"]
    return [
        operation["operationId"] for item in paths.values() for operation in item.values() if "operationId" in operation
    ]


def described_codes(page: Page) -> dict[str, set[str]]:
    paths = page.request.get("/api/openapi.json").json()["paths"]
    return {
        operation["operationId"]: {
            code
            for response in operation["responses"].values()
            for media in response.get("content", {}).values()
            for code in media["schema"].get("properties", {}).get("code", {}).get("enum", [])
        }
        for item in paths.values()
        for operation in item.values()
    }
