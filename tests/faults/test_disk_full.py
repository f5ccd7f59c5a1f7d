"""The disk of the ledger is full: nothing acknowledged is lost, the nodes say so, and work goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.edge.conftest import Edge, _installed, open_edge
from tests.faults.disk import DISK_ROW, DiskScene, NoDisk, ledger_on, small_disk
from tests.faults.run import run_row
from tests.faults.small import database_wire
from tests.support.postgres import Cluster

__all__ = ["_installed", "open_edge"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[tuple[Cluster, Path]]:
    try:
        with small_disk(tmp_path) as disk, ledger_on(disk) as database:
            yield database, disk
    except NoDisk as reason:
        pytest.skip(str(reason))


async def test_a_full_disk_loses_nothing_and_heals(
    ledger: tuple[Cluster, Path], open_edge: Callable[[list[str]], Edge], tmp_path: Path
) -> None:
    database, disk = ledger
    async with database_wire(database.url).running() as wire:
        scene = DiskScene(database, disk, wire, tmp_path)
        try:
            await scene.open(open_edge)
            outcome = await run_row(scene, DISK_ROW, seed=1, number=0)
        finally:
            await scene.close()
    assert outcome.acknowledged > 0
    assert outcome.broken == [], outcome
