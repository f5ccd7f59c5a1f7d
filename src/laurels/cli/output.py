"""Output of commands: lines and tables for people, JSON for machines."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from .errors import CommandFailed

if TYPE_CHECKING:
    from ..ledger.corrections.corrections import Correction

out = Console()
err = Console(stderr=True)


def say(words: str) -> None:
    """Print a line for people, not wrapped, so that what is copied or searched stays in one piece."""
    out.print(words, soft_wrap=True, highlight=False)


def say_of(username: str, words: str, json: bool, **members: str) -> None:
    """Print what became of a user: a line, or JSON with `members`."""
    if json:
        print_json({"username": username, **members})
    else:
        say(f"[bold]{escape(username)}[/] {words}")


def print_correction(correction: Correction, json: bool) -> None:
    """Print the row that a reversal or adjustment wrote."""
    if json:
        print_json(correction)
        return
    earlier = " (earlier already)" if correction.replayed else ""
    say(f"Row {correction.action_id}: {correction.points:+,} points{earlier}, {correction.new_score:,} in all now.")


def print_json(value: object) -> None:
    """Print a value as indented JSON."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value)).decode() + "\n")


def confirm(question: str, *, yes: bool) -> None:
    """Ask before what can't be undone. Raises CommandFailed unless the answer is yes, or without a terminal."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise CommandFailed("this can't be undone: say --yes")
    err.print(f"{question} Type yes: ", end="", highlight=False)
    if sys.stdin.readline().strip() != "yes":
        raise CommandFailed("nothing was done")


def bar() -> Progress:
    """Return a progress bar on standard error, shown on a terminal only."""
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
