"""The operator who runs a command, for the audit trail."""

from __future__ import annotations

import getpass

from ..ledger.events.audit import Actor


def operator() -> Actor:
    """Return who runs this process. In a container that may be a number without a name."""
    try:
        login = getpass.getuser()
    except (KeyError, OSError):
        login = "unknown"
    return Actor(f"operator:{login}")
