"""Take the pictures in docs/screenshots/: every page, at desktop and phone width, light and dark.

`make screenshots` starts a node with some weeks of simulated history, signs an operator in, and visits each page.
Needs Chromium (scripts/ensure-chromium), as the browser tests do; CHROMIUM names a different binary.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from playwright.sync_api import Browser, Page, sync_playwright
from tests.support.server import PASSWORD, LaurelsServer

from laurels.ledger.accounts import bootstrap
from laurels.ledger.db import migrations
from laurels.ledger.db import pool as ledger_pool
from laurels.ledger.embedded.server import EmbeddedPostgres
from laurels.web.auth.access_tokens import new_signing_key
from laurels_client import Action, Laurels

FOLDER = Path(__file__).parent.parent / "docs" / "screenshots"
PATIENCE_MS = 30_000
LIMIT = 150_000
"""The largest picture, in bytes: every clone of the repository downloads them."""
HERO = "Ada Lovelace"
NAMES = [
    "Grace Hopper",
    "Katherine Johnson",
    "Alan Turing",
    "Hedy Lamarr",
    "Radia Perlman",
    "Barbara Liskov",
    "Edsger Dijkstra",
    "Mary Shaw",
    "Tony Hoare",
    "Frances Allen",
    "Donald Knuth",
    "Shafi Goldwasser",
    "Leslie Lamport",
    "Annie Easley",
    "Ken Thompson",
    "Sophie Wilson",
]
FINAL = {
    "name": "final-exam",
    "description": "Pass the final exam; not within ten minutes of a lesson",
    "base_score": 200,
    "scoring_rules": {"watch": {"sequence": [{"action_type": "lesson", "min_seconds": 600}]}},
}
AGE = """
ALTER TABLE actions DISABLE TRIGGER ALL;
UPDATE actions a SET created_at = a.created_at - n.age, completed_at = a.completed_at - n.age
FROM (SELECT id, interval '80 days' * power(1 - percent_rank() OVER (PARTITION BY user_id ORDER BY id), 1.6) AS age
      FROM actions) n WHERE n.id = a.id;
ALTER TABLE actions ENABLE TRIGGER ALL;
UPDATE users SET created_at = created_at - interval '83 days',
    role = CASE username WHEN $name THEN 'admin' ELSE role END
"""


@dataclass(frozen=True)
class Shot:
    """One page: its path, what must be visible before the picture, and what to do first."""

    name: str
    path: str
    ready: str
    before: Callable[[Page], None] = lambda _: None


def edit_rules(page: Page) -> None:
    page.get_by_role("row", name="quiz").get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Username to try with").fill(HERO)
    dialog.get_by_role("button", name="Try it").click()
    dialog.locator(".verdict p").wait_for()


def ban(page: Page) -> None:
    page.get_by_role("link", name="Tony Hoare").click()
    page.get_by_role("button", name="Ban").click()


SHOTS = (
    Shot("board", "/", "laurels-board[view=ready]"),
    Shot("person", "/u/Ada%20Lovelace", "#ledger li"),
    Shot("overlay", "/overlay/points?size=5", "laurels-board[view=ready]"),
    Shot("docs", "/api/docs", "article.operation"),
    Shot("console", "/admin#overview", ".tile"),
    Shot("console-types", "/admin#types", "tbody tr", edit_rules),
    Shot("console-review", "/admin#review", "tbody tr"),
    Shot("console-user", "/admin#users", "tbody tr", ban),
)
LOOKS = {"desktop": (1280, 860), "phone": (390, 812)}


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="laurels-screenshots-"))
    folder.chmod(0o755)
    postgres = EmbeddedPostgres(folder)
    server = LaurelsServer(postgres.start(own=True), folder / "log")
    asyncio.run(prepare(server.database_url))
    server.start()
    try:
        asyncio.run(play(server))
        go_round(server)
    finally:
        server.stop()
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def prepare(url: str) -> None:
    pool = await ledger_pool.connect(url, size=6)
    await migrations.migrate(pool)
    await bootstrap.prepare(pool, samples=True, new_signing_key=new_signing_key)
    await pool.close()


async def play(server: LaurelsServer) -> None:
    """Let all users complete lessons, some of them after a snapshot, so that the board shows movement."""
    draw = random.Random(7)  # noqa: S311  the same pictures every time
    tokens = {name: server.register(name) for name in (HERO, *NAMES)}
    for _ in range(2):
        for token in tokens.values():
            async with Laurels(server.url, token) as laurels:
                await laurels.batch([Action("lesson") for _ in range(draw.randint(4, 60))])
        await asyncio.to_thread(server.command, "snapshot")
    for token in list(tokens.values())[::3]:
        async with Laurels(server.url, token) as laurels:
            await laurels.batch([Action("lesson") for _ in range(draw.randint(10, 30))])
    connection = await asyncpg.connect(server.database_url)
    await connection.execute(AGE.replace("$name", f"'{HERO}'"))
    await connection.close()
    await asyncio.to_thread(wait_for_review, server)


def wait_for_review(server: LaurelsServer) -> None:
    """Complete actions faster than a person can, so that a detector holds them for review."""
    operator = server.post("/api/auth/login", {"username": HERO, "password": PASSWORD})["access_token"]
    server.post("/api/admin/action-types", FINAL, operator)
    for name in NAMES[1:9:3]:
        token = server.post("/api/auth/login", {"username": name, "password": PASSWORD})["access_token"]
        server.complete(token)
        server.complete(token, str(FINAL["name"]))


def go_round(server: LaurelsServer) -> None:
    names = ("chromium", "chromium-browser", "google-chrome")
    chromium = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for look, (width, height) in LOOKS.items():
            for dark in (False, True):
                visit(browser, server.url, look, width, height, dark=dark)
        browser.close()


def visit(browser: Browser, url: str, look: str, width: int, height: int, *, dark: bool) -> None:
    context = browser.new_context(
        base_url=url,
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",  # rows do not move while the picture is taken
        locale="en-GB",
    )
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto("/admin")
    page.locator("#enter").click()
    page.get_by_label("Username").fill(HERO)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("dialog").get_by_role("button", name="Sign in").click()
    page.locator(".tile").first.wait_for()
    for shot in SHOTS:
        page.goto("about:blank")
        page.goto(shot.path)
        page.locator(shot.ready).first.wait_for()
        shot.before(page)
        take(page, FOLDER / f"{shot.name}-{look}-{'dark' if dark else 'light'}.png")
    context.close()


def take(page: Page, file: Path) -> None:
    page.wait_for_load_state("networkidle")
    page.screenshot(path=file, animations="disabled")
    size = file.stat().st_size
    print(f"{file.name}: {size // 1000} kB")
    if size > LIMIT:
        sys.exit(f"{file.name} is larger than {LIMIT // 1000} kB")


if __name__ == "__main__":
    main()
