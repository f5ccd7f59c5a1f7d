"""`scripts/lint-prose` finds the wording that docs/style.md rules out, and nothing else."""

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

LINT = Path(__file__).parents[2] / "scripts" / "lint-prose"

Lint = Callable[..., list[str]]


@pytest.fixture(scope="session")
def script() -> ModuleType:
    """Return the script as a module (its name has no suffix)."""
    loader = SourceFileLoader("lint_prose", str(LINT))
    spec = importlib.util.spec_from_loader("lint_prose", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture
def lint(tmp_path: Path, script: ModuleType) -> Lint:
    """Return a function that writes one file and lints it."""

    def run(name: str, text: str) -> list[str]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        return [str(finding) for finding in script.lint_file(tmp_path, name)]

    return run


def test_the_repository_follows_the_style() -> None:
    done = run_lint()
    assert (done.returncode, done.stdout) == (0, "")


def test_findings_say_where_and_what_to_write_and_fail_the_check(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "page.md").write_text("\nIt is built anew.\n")
    done = run_lint("--root", tmp_path, tmp_path)
    assert (done.returncode, done.stdout) == (1, "page.md:2: 'anew': again, or name it: rebuild, reload, retry\n")


@pytest.mark.parametrize(
    "sentence",
    [
        "The index is built anew.",
        "It waits for ever.",
        "A dear query.",
        "There is one node at present.",
        "Whoever asks waits.",
        "The client that was told retries.",
        "Each node is told of it.",
        "This is no number.",
        "Somebody else has the port.",
        "Nobody waits.",
        "What it owes is sent.",
        "A call under way is joined.",
        "As things are, it fails.",
        "It is thereby closed.",
    ],
)
def test_listed_words_are_found_in_each_kind_of_file(lint: Lint, sentence: str) -> None:
    for name, comment in (
        ("module.py", f"# {sentence}"),
        ("message.py", f'raise SystemExit("{sentence}")'),
        ("query.sql", f"-- {sentence}"),
        ("client.js", f"// {sentence}"),
        ("start.sh", f"# {sentence}"),
        ("page.md", f"# Title\n\n{sentence}"),
    ):
        (finding,) = lint(name, f"\n{comment}\n")
        line = comment.count("\n") + 2
        assert finding.startswith(f"{name}:{line}: ")


def test_phrases_that_break_over_two_comment_lines_are_found(lint: Lint) -> None:
    (finding,) = lint("module.py", "x = 1\n# It waits for\n# ever.\n")
    assert finding.startswith("module.py:2: 'for ever'")


def test_words_inside_names_are_found(lint: Lint) -> None:
    (finding,) = lint("module.py", "bytes_owed = 0\n")
    assert "owed" in finding


@pytest.mark.parametrize(
    "sentence",
    [
        "It is no longer needed.",
        "There is no board of that name.",
        "This is no more than 64 KiB.",
        "The lowered, allowed and borrowed bytes of a deadline.",
        "The user nobody runs it.  # lint-prose: ignore",
        "What is sent is read: a question in the middle of prose is fine.",
    ],
)
def test_idiomatic_english_passes(lint: Lint, sentence: str) -> None:
    assert lint("page.md", sentence) == []


@pytest.mark.parametrize("opener", ["Who", "Whoever", "What", "Whatever", "Nothing", "How", "Where"])
def test_docstrings_open_with_a_verb_or_a_noun(lint: Lint, opener: str) -> None:
    text = f'"""A module."""\n\n\ndef f() -> None:\n    """{opener} has a rank."""\n'
    (finding,) = [line for line in lint("module.py", text) if "begin with" in line]
    assert finding.startswith("module.py:5: ")
    assert lint("client.js", f"/** {opener} has a rank. */\n")


def test_module_docstrings_are_short(lint: Lint) -> None:
    assert lint("module.py", '"""One.\n' + "Two.\n" * 9 + '"""\n') == []
    (finding,) = lint("module.py", '"""One.\n' + "Two.\n" * 10 + '"""\n')
    assert finding.startswith("module.py:1: ")


def test_scripts_without_a_suffix_are_read_as_python(lint: Lint) -> None:
    assert lint("scripts/run", '#!/usr/bin/env python3\n"""What runs."""\n')


def test_commit_subjects_are_short_from_the_commit_on_that_added_the_lint(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    commit(tmp_path, "Old " + "x" * 80)
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "lint-prose").write_text("")
    git(tmp_path, "add", ".")
    commit(tmp_path, "Add the lint")
    commit(tmp_path, "y" * 72)
    assert run_lint("--root", tmp_path).stdout == ""
    commit(tmp_path, "z" * 73)
    assert "z" * 73 in run_lint("--root", tmp_path).stdout


def run_lint(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, LINT, *arguments], capture_output=True, text=True, check=False)


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True)  # noqa: S607


def commit(folder: Path, subject: str) -> None:
    author = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false")
    git(folder, *author, "commit", "--quiet", "--allow-empty", "--no-verify", "-m", subject)
