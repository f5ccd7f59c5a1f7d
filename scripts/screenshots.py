"""Take the pictures of the docs from a running server: docs/board-desktop.png (light) and docs/board-phone.png (dark).

Let people play meanwhile, so that there is something to see; it waits until some have risen since the last snapshot:

    LAURELS_SNAPSHOT_SECONDS=30 make run
    make demo ARGS="--people 30 --seconds 300"
    .venv/bin/python scripts/screenshots.py http://127.0.0.1:8000

Needs Chromium (scripts/ensure-chromium), as the browser tests do; CHROMIUM names another one.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

FOLDER = Path(__file__).parent.parent / "docs"
PATIENCE_MS = 120_000
LIMIT = 200_000
"""Bytes: pictures in a repository are downloaded by everybody."""


def main(url: str) -> None:
    names = ("chromium", "chromium-browser", "google-chrome")
    chromium = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        _take(browser, url, FOLDER / "board-desktop.png", width=1280, height=860, dark=False)
        _take(browser, url, FOLDER / "board-phone.png", width=390, height=812, dark=True, scale=2)
        browser.close()


def _take(browser: Browser, url: str, file: Path, *, width: int, height: int, dark: bool, scale: int = 1) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": height},
        device_scale_factor=scale,
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",  # no row is between two places
        locale="en-GB",
    )
    page = context.new_page()
    page.goto(url)
    page.locator('html[data-live="live"] #board_rows tr').nth(9).wait_for(timeout=PATIENCE_MS)
    page.locator('.move[data-kind="up"]').nth(2).wait_for(timeout=PATIENCE_MS)
    page.screenshot(path=file)
    context.close()
    size = file.stat().st_size
    print(f"{file.name}: {size // 1000} kB")
    if size > LIMIT:
        sys.exit(f"{file.name} is larger than {LIMIT // 1000} kB")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
