"""Folders that PostgreSQL's user can reach also where the tests run as root."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.folders import reachable


@pytest.fixture
def data() -> Iterator[Path]:
    """Return a path for a data folder: not in pytest's folder, which a second pytest closes when it starts."""
    folder = reachable(Path(tempfile.mkdtemp(prefix="laurels-tests-")))
    yield folder / "data"
    shutil.rmtree(folder, ignore_errors=True)
