"""Paths, names, metrics, settings, commands and links in the docs exist in the tree."""

import dataclasses
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import cyclopts
import pytest

from laurels import telemetry
from laurels.cli import app
from laurels.config import Settings
from laurels.environment import CLIENT_NAMES

ROOT = Path(__file__).parents[2]
HISTORY = ("CHANGELOG.md", "0023-standard-names.md", "style.md")
"""These name what there was, or give examples."""
PAGES = [
    path
    for pattern in ("*.md", "docs/*.md", "docs/adr/*.md", "clients/*/README.md")
    for path in sorted(ROOT.glob(pattern))
    if path.name not in HISTORY
]
BASES = ("", "src/laurels/", "tests/", "docs/", "clients/js/", "clients/python/", "deploy/", "bench/")
SUFFIX = "py|sql|lua|js|ts|css|html|md|toml|yml|yaml|json|txt|conf|svg"

QUOTED = re.compile(r"`([^`]+)`")
PATH = re.compile(rf"[\w.*-]+(?:/[\w.*-]+)*\.(?:{SUFFIX})|[\w.-]+(?:/[\w.-]+)*/")
NAME = re.compile(r"(?=\w*[A-Z_.]\w)[A-Za-z_]\w*(?:\.\w+)*(?:\(\))?")
METRIC = re.compile(r"\blaurels_[a-z0-9_]+")
SETTING = re.compile(r"\bLAURELS_[A-Z_]+[A-Z]\b")
COMMAND = re.compile(r"(?:^|`)laurels ([a-z-]+)(?: ([a-z][a-z-]*))?")
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")

NOT_OURS = {"web/static/admin-NAME.js", "data/"}
"""A pattern; a folder that a node makes."""
FOREIGN_NAMES = {
    "auto_explain.log_min_duration",
    "pg_replication_slots",
    "pg_stat_statements",
    "pg_test_fsync",
    "pg_wal",
    "server_no_context_takeover",
}
"""Names of PostgreSQL, Redis, nginx and the like that no file of ours contains."""


@pytest.fixture(params=PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def page(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_paths_exist(page: Path) -> None:
    paths = {text for text in quoted(page) if PATH.fullmatch(text)} - NOT_OURS
    assert {path for path in paths if not exists(path)} == set()


def test_names_exist(page: Path) -> None:
    """Every class, function, module, column and constant stands somewhere in the code."""
    names = {text.removesuffix("()") for text in quoted(page) if NAME.fullmatch(text) and not PATH.fullmatch(text)}
    names = {name for name in names - FOREIGN_NAMES if not METRIC.fullmatch(name)}
    unknown = {name for name in names if not set(name.split(".")) <= words()}
    assert {name for name in unknown if name.removesuffix("_FILE") not in words()} == set()


def test_metrics_exist(page: Path) -> None:
    metrics = set(METRIC.findall(page.read_text()))
    assert {metric for metric in metrics if metric not in words() and metric not in exposed()} == set()


def test_settings_exist(page: Path) -> None:
    settings = {name.removesuffix("_FILE") for name in SETTING.findall(page.read_text())}  # read from that file
    known = {field.metadata["env"] for field in dataclasses.fields(Settings)} | set(CLIENT_NAMES)
    assert {name for name in settings - known if name not in words()} == set()


def test_commands_exist(page: Path) -> None:
    for command, below in set(COMMAND.findall(page.read_text())):
        found = app[command]
        if below and isinstance(found, cyclopts.App) and found.default_command is None:
            assert found[below]


def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text()):
        if target.startswith("http"):
            continue
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), target
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), f"{target}#{anchor}"


def quoted(page: Path) -> Iterator[str]:
    """Yield what stands in backticks, but not in blocks of code."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    yield from QUOTED.findall(text)


def exists(path: str) -> bool:
    if "*" in path:
        return any(list(ROOT.glob(base + path)) for base in BASES)
    return any(base + path in tree() for base in BASES) or any(item.endswith(f"/{path}") for item in tree())


@cache
def tree() -> frozenset[str]:
    """Return the tracked files and the folders that hold them."""
    listed = subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True, check=True)  # noqa: S607
    files = listed.stdout.splitlines()
    return frozenset(files) | {f"{parent}/" for file in files for parent in Path(file).parents}


@cache
def words() -> frozenset[str]:
    """Return every word of the code, the names of its files included."""
    found: set[str] = set()
    for path in tree():
        if path.endswith((".md", "/", ".png", ".svg", ".txt", "results.json")) or not (ROOT / path).is_file():
            continue
        found.update(re.findall(r"\w+", path), re.findall(r"\w+", (ROOT / path).read_text(errors="ignore")))
    return frozenset(found)


@cache
def exposed() -> frozenset[str]:
    """Return the names under which metrics are scraped."""
    return frozenset(sample.name for family in telemetry.REGISTRY.collect() for sample in family.samples) | frozenset(
        f"{family.name}{suffix}"
        for family in telemetry.REGISTRY.collect()
        for suffix in ("", "_total", "_bucket", "_sum", "_count")
    )


@cache
def anchors(file: Path) -> frozenset[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+)$", file.read_text(), re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)
