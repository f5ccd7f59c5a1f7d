"""A real browser for the pages: every visit is watched, so that a test can say "and nothing else happened"."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import asyncpg
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, expect, sync_playwright
from tests.support.server import LaurelsServer

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",  # Test machines run as root; every page visited here is our own.
    "--disable-quic",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 10_000
expect.set_options(timeout=PATIENCE_MS)
REPORT_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.violatedDirective} blocked ${event.blockedURI}`));
"""


@dataclass
class Visit:
    """One open page and everything it said or asked for since it was opened."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def watch(self) -> None:
        self.page.add_init_script(REPORT_VIOLATIONS)
        self.page.on("console", self._note_console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        self.page.on("dialog", self._note_dialog)
        self.page.on("request", lambda request: self._note_host(request.url))
        self.page.on("websocket", lambda socket: self._note_host(socket.url))

    def _note_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text}")

    def _note_dialog(self, dialog: Dialog) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _note_host(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https", "ws", "wss"}:
            self.hosts.add(parts.netloc)


@pytest.fixture(scope="module")
def laurels_server(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LaurelsServer]:
    """A server of the pages' own: what other tests score, kill or restart does not show here."""
    asyncio.run(_create_database(postgres))
    server = LaurelsServer(postgres.replace("/postgres?", "/pages?"), tmp_path_factory.mktemp("pages") / "log")
    server.start()
    yield server
    server.stop()


async def _create_database(postgres: str) -> None:
    connection = await asyncpg.connect(postgres)
    await connection.execute("DROP DATABASE IF EXISTS pages WITH (FORCE)")
    await connection.execute("CREATE DATABASE pages TEMPLATE laurels_template")
    await connection.close()


@pytest.fixture(scope="module")
def chromium(laurels_server: LaurelsServer) -> Iterator[Browser]:
    """One browser for the module, not the session: while it lives, its event loop occupies the main thread.

    After the server, whose fixture needs that thread for a moment.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium_path(), args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def chromium_page(chromium: Browser, laurels_server: LaurelsServer) -> Iterator[Callable[..., Visit]]:
    """`chromium_page("/path", width=320, dark=True)` opens a page in a profile of its own."""
    contexts = []

    def open_page(
        path: str = "/",
        *,
        width: int = 1280,
        dark: bool = False,
        before: Callable[[Page], None] = lambda _: None,
    ) -> Visit:
        context = chromium.new_context(
            base_url=laurels_server.url,
            viewport={"width": width, "height": 800},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",  # A row is where it belongs at once: nothing to wait for.
            locale="en-GB",
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        visit = Visit(context.new_page())
        visit.watch()
        before(visit.page)
        visit.page.goto(path)
        return visit

    yield open_page
    for context in contexts:
        context.close()


def _chromium_path() -> str:
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if not found:
        pytest.fail("Chromium is not installed: `make test` installs it, or point CHROMIUM at one.", pytrace=False)
    return found
