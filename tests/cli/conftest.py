"""Folders that PostgreSQL's user may pass through also where the tests run as root."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.folders import reachable


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Where a data folder may be made."""
    return reachable(tmp_path) / "data"
