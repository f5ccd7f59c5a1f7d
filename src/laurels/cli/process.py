"""Event loop, settings and logs of a command.

Imports stand inside the functions: `laurels --help` needs none of them.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from ..config import Settings

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end and return what it returns."""
    from .. import event_loop

    result: T = event_loop.run(work)
    return result


def load_settings() -> Settings:
    """Return the settings and configure logs. Logs begin at warnings, as a command prints results; debug stays."""
    from .. import config, telemetry

    found = config.load()
    telemetry.configure_logs(level="warning" if found.log_level.lower() == "info" else found.log_level)
    warn_of_unused()
    return found


def warn_of_unused() -> None:
    """Log a warning for each variable that has the name of a setting and is not one."""
    import structlog

    from .. import config

    log = structlog.get_logger(__name__)
    for line in config.unused():
        log.warning(line)
