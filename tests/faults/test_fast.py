"""The part of the fault matrix that starts in seconds: nodes, and the wire to PostgreSQL."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.edge.conftest import Edge, _installed, open_edge
from tests.faults.matrix import node_frozen, node_killed, rolling_restart
from tests.faults.row import Row
from tests.faults.run import Outcome, run_row
from tests.faults.small import SmallScene, database_wire
from tests.faults.wire import WIRE_ROWS, latency, trickle

__all__ = ["_installed", "open_edge"]

SEED = random.SystemRandom().randrange(1_000_000)
"""Gaps are judged by `make test-faults`: a busy machine may take its time here."""
NODE_ROWS = (
    Row("node killed in the middle of batches (kill -9)", node_killed, gap=20, hold=2),
    Row("node frozen and thawed", node_frozen, gap=20, hold=3),
    Row("rolling restart of all nodes, sockets open", rolling_restart, gap=20, hold=0),
)


@pytest.fixture
async def scene(database_url: str, open_edge: Callable[[list[str]], Edge], tmp_path: Path) -> AsyncIterator[SmallScene]:
    async with database_wire(database_url).running() as wire:
        scene = SmallScene(database_url, wire, tmp_path)
        try:
            await scene.open(open_edge)
            yield scene
        finally:
            await scene.close()


SLOW_WIRES = (latency, trickle)
"""What only makes it slower is tried in `make test-slow`."""


def _rows() -> list[object]:
    marked = [pytest.param(row, marks=pytest.mark.slow, id=row.name) for row in WIRE_ROWS if row.fault in SLOW_WIRES]
    fast = [row for row in (*NODE_ROWS, *WIRE_ROWS) if row.fault not in SLOW_WIRES]
    return [*(pytest.param(row, id=row.name) for row in fast), *marked]


@pytest.mark.parametrize("row", _rows())
async def test_no_promise_is_broken(scene: SmallScene, row: Row) -> None:
    """Acknowledged actions count once, caps hold, boards agree, whatever broke (the seed is printed)."""
    outcome: Outcome = await run_row(scene, row, SEED, 0, calm=0.5)
    assert outcome.acknowledged > 0
    assert outcome.broken == [], f"seed {SEED}: {outcome}"
    if row.fault is rolling_restart:  # no request fails: the edge asks the next node, a node answers what has arrived
        assert outcome.failures == {}
