"""Who types the commands."""

from __future__ import annotations

import getpass

from ..ledger.events.audit import Actor


def operator() -> Actor:
    """For the audit trail. Containers may run as a number that has no name."""
    try:
        login = getpass.getuser()
    except (KeyError, OSError):
        login = "unknown"
    return Actor(f"operator:{login}")
