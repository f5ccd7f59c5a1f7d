"""`laurels …`: each command reads its arguments, opens the ledger, calls `app`, and prints.

app, flags       the tree of commands; flags that several share
process, ledger  how a command runs: event loop, settings, logs; the ledger opened for one command
output, streams  lines, tables and JSON; standard streams written to the end whatever the pipe does
errors, operator what ends a command; who runs it, for the audit trail
argument_checks  holds arguments to what the API takes;  verification  of the ledger and of a running node
node (serve, config, openapi), proof, transfer, audit, demo: commands outside a group
users, api_keys, action_types, boards, reviews, settings: commands in groups
"""

# ruff: noqa: E402  most imports come after the line that makes Ctrl-C quiet during them

from __future__ import annotations

import signal

_on_interrupt = signal.signal(signal.SIGINT, signal.SIG_DFL)  # an interrupted import prints no traceback

import re
import sys
from typing import TYPE_CHECKING, NoReturn

import cyclopts

from . import streams
from .app import app
from .errors import CommandFailed

if TYPE_CHECKING:
    from ..domain.errors import LaurelsError

signal.signal(signal.SIGINT, _on_interrupt)

__all__ = ["app", "main"]

FLAGS = {"allow_similar": "--allow-similar"}
"""Members of requests that messages name, and the flags for them."""


def main() -> NoReturn:
    """Run a command; print one line and end with an exit code when it fails."""
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
        from ..start_errors import flatten

        reasons = [_explain(leaf) for leaf in flatten(error)]
        if None in reasons:
            raise
        return fail(next(filter(None, reasons)))
    return code if isinstance(code, int) else 0


def _explain(error: BaseException) -> str | None:
    """Return the line for an error that the operator can act on; None for a defect, which needs its traceback.

    A node is many tasks: an error of several tasks, or of tasks within tasks, arrives as a group of such errors.
    """
    from ..app.transfer.files import TransferError
    from ..config import ConfigError
    from ..domain.errors import LaurelsError
    from ..ledger.db.pool import DatabaseUnusable, ServerError
    from ..start_errors import StartError

    match error:
        case cyclopts.CycloptsError():
            return f"{error} (`laurels --help` lists what there is)"
        case ConfigError() | DatabaseUnusable() | StartError() | CommandFailed() | TransferError():
            return str(error)
        case LaurelsError():
            return _in_flags(error)
    if isinstance(error, ServerError):
        return f"PostgreSQL refused: {(str(error) or type(error).__name__).splitlines()[0]}"
    return None


def _in_flags(error: LaurelsError) -> str:
    """Return a refusal with flags in the place of members of requests."""
    detail = error.detail
    for member, flag in FLAGS.items():
        detail = detail.replace(member, flag)
    is_inside = error.path is not None and re.fullmatch(r"\$\.\w+|\$", error.path) is None
    return f"{detail} (at {error.path})" if is_inside else detail


def fail(words: str) -> int:
    """Print one line and return the exit code."""
    sys.stderr.write(f"laurels: {' '.join(words.split())}\n")
    return 2
