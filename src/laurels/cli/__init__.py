"""`laurels …`: every command, thin. What can't start or can't be done is one line and exit code 2.

app      the tree of commands, the flags that many share, and how a command runs
output   how commands speak: lines and tables for people, JSON for machines
streams  standard output and error, written to the end whatever the pipe does
The other modules hold the commands; importing them adds theirs to the tree.
"""

# ruff: noqa: E402  most imports come after the line that makes Ctrl-C quiet during them

from __future__ import annotations

import signal

_on_interrupt = signal.signal(signal.SIGINT, signal.SIG_DFL)  # imports that are interrupted need no traceback

import re
import sys
from typing import NoReturn

import cyclopts

from .. import operations
from ..config import ConfigError
from ..domain.errors import LaurelsError
from ..ledger.db.pool import DatabaseUnusable, ServerError
from ..startup import StartError, flatten
from . import api_keys, catalogue, demo, fairness, node, proof, service, streams, transfer, users
from .app import app

signal.signal(signal.SIGINT, _on_interrupt)

__all__ = [
    "api_keys",
    "app",
    "catalogue",
    "demo",
    "fairness",
    "main",
    "node",
    "proof",
    "service",
    "transfer",
    "users",
]


FLAGS = {"allow_similar": "--allow-similar"}
"""Members of requests that messages name, and what they are called here."""
_SERVER_ERRORS: tuple[type[Exception], ...] = (ServerError,)


def main() -> NoReturn:
    """Run a command: what goes wrong becomes one line and an exit code."""
    streams.write_completely()
    code = _run()
    sys.stdout.flush()
    sys.exit(code)


def _run() -> int:
    try:
        code = app(exit_on_error=False, print_error=False, result_action="return_value")
    except KeyboardInterrupt:
        streams.discard_output()
        return 130
    except Exception as error:
        reasons = [_explain(leaf) for leaf in flatten(error)]
        if None in reasons:
            raise
        return fail(next(filter(None, reasons)))
    return code if isinstance(code, int) else 0


def _explain(error: BaseException) -> str | None:
    """Return the line for an error that the operator can act on; None for a mistake of ours, which needs its traceback.

    A node is many tasks: what fails in several of them, or in tasks of tasks, arrives as a group of such errors.
    """
    match error:
        case cyclopts.CycloptsError():
            return f"{error} (`laurels --help` lists what there is)"
        case ConfigError() | DatabaseUnusable() | StartError() | operations.CommandFailed():
            return str(error)
        case LaurelsError():
            return _in_flags(error)
    if isinstance(error, _SERVER_ERRORS):
        return f"PostgreSQL refused: {(str(error) or type(error).__name__).splitlines()[0]}"
    return None


def _in_flags(error: LaurelsError) -> str:
    """Return a refusal in the words of the command line: flags are typed here, members of requests are not."""
    detail = error.detail
    for member, flag in FLAGS.items():
        detail = detail.replace(member, flag)
    is_inside = error.path is not None and re.fullmatch(r"\$\.\w+|\$", error.path) is None
    return f"{detail} (at {error.path})" if is_inside else detail


def fail(words: str) -> int:
    """Print one line; return the exit code."""
    sys.stderr.write(f"laurels: {' '.join(words.split())}\n")
    return 2
