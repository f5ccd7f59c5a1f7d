"""The pages keep their promises in a real browser: live, exact, safe with any name, readable by everyone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect
from tests.browser.steps import (
    PATIENCE_MS,
    OpenPage,
    expect_drawn,
    expect_rows,
    expect_state,
    live_page,
    newcomer,
    rise,
    row,
    serious_faults,
    sideways,
    top_list,
)

BIGGEST_SCORE = 2**63 - 1
REMEMBER_SCORES = """
window.scoresShown = [];
addEventListener("laurels-board", ({ detail }) => window.scoresShown.push(Number(detail.board.rows[0].score)));
"""
PRETEND_HIDDEN = """(hidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event("visibilitychange"));
}"""

expect.set_options(timeout=PATIENCE_MS)

# -- live and exact


def test_the_first_action_appears_without_a_reload(laurels_server: Any, chromium_page: OpenPage) -> None:
    """A user who completes a first action appears on a page that was already open."""
    name, token = newcomer(laurels_server)
    page = live_page(chromium_page).page
    expect(row(page, name)).to_have_count(0)

    rise(laurels_server, name, token)

    expect(row(page, name)).to_be_visible()


def test_two_pages_agree_with_the_api_after_a_burst(laurels_server: Any, chromium_page: OpenPage) -> None:
    """After a burst of actions, every open page shows the order, ranks and scores that the API tells."""
    pages = [live_page(chromium_page).page for _ in range(2)]
    tokens = [newcomer(laurels_server)[1] for _ in range(3)]
    for times, token in enumerate(tokens, start=2):
        laurels_server.complete(token, n=times)

    wanted = top_list(laurels_server)
    for page in pages:
        expect_rows(page, wanted)


def test_a_score_beyond_the_double_is_shown_to_the_last_digit(chromium_page: OpenPage) -> None:
    """2^63 - 1 is shown exactly, though a JavaScript number cannot hold it."""
    page = chromium_page(before=speak(frame(seq=1, scores={"ada": BIGGEST_SCORE}))).page

    expect(row(page, "ada")).to_have_attribute("data-score", str(BIGGEST_SCORE))
    expect(row(page, "ada").locator(".score")).to_have_text(f"{BIGGEST_SCORE:,}")


def test_a_missed_base_asks_for_the_whole(chromium_page: OpenPage) -> None:
    """A delta on a board that the page does not have is not drawn; the whole board that it then asks for is."""
    asked: list[dict[str, Any]] = []

    def answer(socket: WebSocketRoute) -> None:
        def heard(text: str | bytes) -> None:
            asked.append(json.loads(text))
            if asked[-1]["type"] == "subscribe":
                socket.send(json.dumps(frame(seq=1, scores={"ada": 1})))
                socket.send(json.dumps(delta("first-7", "first-8", frame(seq=8, scores={"ada": 2}))))
            else:
                socket.send(json.dumps(frame(seq=9, scores={"ada": 3})))

        socket.on_message(heard)

    remember = lambda page: page.add_init_script(REMEMBER_SCORES)  # noqa: E731
    page = chromium_page(
        before=lambda page: (remember(page), page.route_web_socket(re.compile("/api/live"), answer))
    ).page

    expect(row(page, "ada")).to_have_attribute("data-score", "3")
    assert [one["type"] for one in asked] == ["subscribe", "resync"]
    assert page.evaluate("() => window.scoresShown") == [1, 3]


def test_a_delta_changes_what_it_names_and_nothing_else(chromium_page: OpenPage) -> None:
    """Rows that change places glide; the row that stays is the same element."""
    before, after = frame(seq=1, scores={"ada": 3, "bert": 2, "cleo": 1}), frame(seq=2, scores={"bert": 5, "ada": 3})
    page = chromium_page(before=speak(before, delta("first-1", "first-2", after))).page

    expect_rows(page, after["rows"])


def test_an_unknown_rank_is_never_shown_as_a_number(chromium_page: OpenPage) -> None:
    """A rank that is not known is said to be so, not guessed and not 0."""
    unknown = frame(seq=1, scores={"ada": 7}, rank_state="rebuilding")
    unknown["rows"][0]["rank"] = None
    page = chromium_page(before=speak(unknown)).page

    expect(row(page, "ada").locator(".rank")).to_contain_text("not known yet")
    expect(page.locator("#facts")).to_contain_text("recounted")


# -- boards


def test_every_board_can_be_chosen(chromium_page: OpenPage) -> None:
    """Each board of the API has a link that shows it, marks it as current and can be shared by its address."""
    page = live_page(chromium_page).page
    for board in page.request.get("/api/boards").json()["boards"]:
        link = page.get_by_role("navigation", name="Boards").get_by_role("link", name=board["name"], exact=True)
        link.focus()
        page.keyboard.press("Enter")

        expect(link).to_have_attribute("aria-current", "page")
        expect(page.get_by_role("heading", level=1)).to_have_text(board["name"])
        expect(page).to_have_url(re.compile(rf"#{re.escape(board['slug'])}$"))
        expect_state(page, "live")


@pytest.mark.parametrize("name", ["nowhere-to-be-found", "No Board Has Such A Name", "<b>"])
def test_an_unknown_board_is_said_to_be_unknown(chromium_page: OpenPage, name: str) -> None:
    """A link to a board that does not exist says so and does not keep knocking."""
    page = chromium_page(f"/#{quote(name)}").page

    expect(page.get_by_text(f"Nothing here is called {name}")).to_be_visible()
    expect_state(page, "closed")


def test_an_empty_board_says_what_comes_next(chromium_page: OpenPage) -> None:
    """A board without scores is an invitation, not a blank page."""
    page = chromium_page(before=speak(frame(seq=1, scores={}))).page

    expect(page.get_by_text("Nobody has scored yet.")).to_be_visible()


# -- when things break


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


# -- safe


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


# -- for everyone


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


# -- the API docs


def test_the_docs_list_every_operation(chromium_page: OpenPage) -> None:
    """Whatever the API describes is on the page of the docs, once, with a command to try it."""
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


# -- what the tests say in few words


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


def speak(*frames: dict[str, Any]) -> Callable[[Page], None]:
    """Answer the page's live socket with these frames instead of the server's."""

    def answer(socket: WebSocketRoute) -> None:
        def subscribed(text: str | bytes) -> None:
            asked = json.loads(text)
            if asked["type"] != "subscribe":
                return
            socket.send(json.dumps({"type": "subscribed", "channel": asked["channel"], "resumed": "snapshot"}))
            for one in frames:
                socket.send(json.dumps(one))

        socket.on_message(subscribed)

    return lambda page: page.route_web_socket(re.compile("/api/live"), answer)


def answering(calls: list[WebSocketRoute]) -> Callable[[Page], None]:
    """Answer each connection with one board, in which ada's score is how many calls there were."""

    def answer(socket: WebSocketRoute) -> None:
        calls.append(socket)
        score = len(calls)

        def subscribed(text: str | bytes) -> None:
            asked = json.loads(text)
            socket.send(json.dumps({"type": "subscribed", "channel": asked["channel"], "resumed": "snapshot"}))
            socket.send(json.dumps(frame(seq=score, scores={"ada": score})))

        socket.on_message(subscribed)

    return lambda page: page.route_web_socket(re.compile("/api/live"), answer)


def with_clock(before: Callable[[Page], None]) -> Callable[[Page], None]:
    """Give the page a clock that this test turns."""
    return lambda page: (page.clock.install(), before(page))[1]


def delta(base: str, version: str, after: dict[str, Any]) -> dict[str, Any]:
    """The frame that makes `after` of a board called `base`, naming every row."""
    kept = {name: after[name] for name in ("channel", "size", "seq", "as_of", "rank_state", "total_users")}
    rows = list(enumerate(after["rows"]))
    return {"type": "delta", "base": base, "version": version, "length": len(rows), "rows": rows, **kept}


def frame(seq: int, scores: dict[str, int], epoch: str = "first", rank_state: str = "exact") -> dict[str, Any]:
    rows = [
        {"rank": place, "username": name, "score": score, "movement": 0}
        for place, (name, score) in enumerate(scores.items(), start=1)
    ]
    return {
        "type": "board",
        "channel": "board:points",
        "size": 10,
        "version": f"{epoch}-{seq}",
        "board": "points",
        "name": "All time",
        "order": "desc",
        "period": "all_time",
        "window": {"starts_at": None, "ends_at": None},
        "epoch": epoch,
        "seq": seq,
        "as_of": "2026-01-31T12:00:00.123456Z",
        "rank_state": rank_state,
        "total_users": len(rows),
        "rows": rows,
    }
