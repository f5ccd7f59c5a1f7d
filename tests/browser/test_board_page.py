"""The board page is live and exact, and shows whichever board is asked for."""

from __future__ import annotations

import json
import re
from typing import Any, cast
from urllib.parse import quote

import pytest
from playwright.sync_api import WebSocketRoute, expect
from tests.browser.scripted import delta, frame, speak
from tests.browser.steps import OpenPage, expect_rows, expect_state, live_page, newcomer, rise, row, top_list

REMEMBER_ENTERED = """
window.enteredTop = [];
addEventListener("laurels-board", ({ detail }) => window.enteredTop.push(...detail.entered));
"""
BIGGEST_SCORE = 2**63 - 1
REMEMBER_SCORES = """
window.scoresShown = [];
addEventListener("laurels-board", ({ detail }) => window.scoresShown.push(Number(detail.board.rows[0].score)));
"""


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


def test_a_shared_place_is_shown_shared(chromium_page: OpenPage) -> None:
    """1, 2, 2, 4 as the board's ties have it, both seconds with their wreath; each movement seen and heard."""
    shared = frame(seq=1, scores={"ada": 9, "bert": 7, "cleo": 7, "dora": 1})
    for one, rank, movement in zip(shared["rows"], (1, 2, 2, 4), (3, -1, 0, None), strict=True):
        one |= {"rank": rank, "movement": movement}
    page = chromium_page(before=speak(shared)).page

    expect_rows(page, shared["rows"])
    expect(page.locator("laurels-board .rows .numeral")).to_have_text(["1", "2", "2", "4"])
    expect(page.locator("laurels-board .rows .wreath:visible")).to_have_count(3)
    moves = ["▲3up 3 places", "▼1down 1 place", "\u2013no change", "newnew on the board"]
    expect(page.locator("laurels-board .rows .move")).to_have_text(moves)


def test_who_enters_the_top_is_told(laurels_server: Any, chromium_page: OpenPage) -> None:
    """The element's event names each user who has just come among the first ten, once."""
    page = chromium_page(before=lambda page: page.add_init_script(REMEMBER_ENTERED)).page
    expect_state(page, "live")
    name, token = newcomer(laurels_server)
    rise(laurels_server, name, token)
    expect(row(page, name)).to_be_visible()
    score = row(page, name).get_attribute("data-score") or ""
    laurels_server.complete(token)

    expect(row(page, name)).not_to_have_attribute("data-score", score)
    assert page.evaluate("() => window.enteredTop").count(name) == 1


@pytest.mark.parametrize("dark", [False, True])
def test_wreath_badge_and_name_stand_apart_on_a_phone(chromium_page: OpenPage, *, dark: bool) -> None:
    """Eight pixels lie between the badge of a new row and the name, and six between it and the wreath."""
    fresh = frame(seq=1, scores={"Shafi Goldwasser": 1_070, "Edsger Dijkstra": 940, "ada": 800, "bert": 3})
    for one in fresh["rows"]:
        one["movement"] = None
    page = chromium_page(width=390, dark=dark, before=speak(fresh)).page

    for name in ("Shafi Goldwasser", "Edsger Dijkstra", "ada"):
        shown = row(page, name)
        expect(shown).to_be_visible()
        parts = (".wreath", ".move > span:first-child", ".name bdi")
        wreath, badge, text = (cast("dict[str, float]", shown.locator(part).bounding_box()) for part in parts)
        assert wreath["x"] + wreath["width"] + 6 <= badge["x"]
        assert badge["x"] + badge["width"] + 8 <= text["x"]


def test_an_unknown_rank_is_never_shown_as_a_number(chromium_page: OpenPage) -> None:
    """A rank that is not known is said to be so, not guessed and not 0."""
    unknown = frame(seq=1, scores={"ada": 7}, rank_state="rebuilding")
    unknown["rows"][0]["rank"] = None
    page = chromium_page(before=speak(unknown)).page

    expect(row(page, "ada").locator(".rank")).to_contain_text("not known yet")
    expect(page.locator("#facts")).to_contain_text("recounted")


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

    expect(page.get_by_text("No scores yet.")).to_be_visible()
