"""How commands speak: lines and tables for people, JSON for machines."""

from __future__ import annotations

import sys

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ..operations import CommandFailed

out = Console()
err = Console(stderr=True)


def say(words: str) -> None:
    """A line for people; not wrapped, so that what is copied or searched stays in one piece."""
    out.print(words, soft_wrap=True, highlight=False)


def say_of(username: str, words: str, json: bool, **members: str) -> None:
    if json:
        print_json({"username": username, **members})
    else:
        say(f"[bold]{escape(username)}[/] {words}")


def print_json(value: object) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value)).decode() + "\n")


def confirm(question: str, *, yes: bool) -> None:
    """Before what can't be undone. Raises NotDone when the answer is no, or nobody is there to give it."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise CommandFailed("this can't be undone: say --yes")
    err.print(f"{question} Type yes: ", end="", highlight=False)
    if sys.stdin.readline().strip() != "yes":
        raise CommandFailed("nothing was done")


def bar() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )
