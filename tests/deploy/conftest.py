"""The whole production shape, for the tests that need all of it; one for the session."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from deploy.cluster.layout import Layout
from deploy.cluster.supervisor import Supervisor
from tests.support.folders import reachable
from tests.support.ports import free_block
from tests.support.server import CHORES, GENEROUS

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervisor]:
    """A cluster that runs, with generous limits. Tests leave every part running and healthy."""
    if os.geteuid() != 0:
        pytest.skip("installs and starts the parts as users of their own: needs root")
    subprocess.run([ROOT / "scripts" / "ensure-cluster"], check=True)
    folder = reachable(tmp_path_factory.mktemp("cluster")) / "cluster"
    supervisor = Supervisor(Layout(folder, free_block(), rate=20_000, settings=GENEROUS | CHORES))
    supervisor.layout.place("run")
    try:
        supervisor.up()
        yield supervisor
    finally:
        supervisor.down()
