"""Folders that servers running as other users can reach."""

from __future__ import annotations

import tempfile
from pathlib import Path


def reachable(folder: Path) -> Path:
    """pytest's folders are private to root; open this one, and those above it up to the temporary one, for passage."""
    temporary = Path(tempfile.gettempdir())
    for parent in [folder, *folder.parents]:
        if temporary in parent.parents:
            parent.chmod(parent.stat().st_mode | 0o055)
    return folder
