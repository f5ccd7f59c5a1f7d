"""`laurels simulate`: a table or JSON, the same for the same seed, and how far it is from a measured run."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from laurels.simulation import Costs, Load, Measured, Run, Shape, simulate

from .commands import answer, laurels


def test_the_same_seed_gives_the_same_answer() -> None:
    """One run for each rate and each number of connections, in the order they were asked for."""
    asked = ("simulate", "--rates", "200", "900", "--connections", "8", "--seconds", "0.5", "--seed", "7")
    told = answer(*asked)
    assert [(load["rate"], load["connections"]) for load, _ in told["runs"]] == [(200, 0), (900, 0), (0, 8)]
    assert told == answer(*asked)


def test_the_table_names_the_busiest_part() -> None:
    done = laurels("simulate", "--rates", "300", "--seconds", "0.5")
    assert done.returncode == 0
    assert "node" in done.stdout


def test_a_run_is_compared_with_what_its_costs_give(tmp_path: Path) -> None:
    """Off by nothing where the run is the model's own, and by what was put in where it is not."""
    costs = Costs(request=0.0002)
    said = simulate(costs, Shape(lanes=2, machine_cores=2), Load(connections=16, users=5_000, seconds=0.5))
    own = (said.batch_mean, said.latency_p50, said.latency_p99)
    measured = [Measured(16, said.actions_per_second, *own), Measured(16, said.actions_per_second * 2, *own)]
    file = tmp_path / "costs.json"
    file.write_bytes(msgspec.json.encode(Run(costs, 2, 2, measured)))
    same, half = answer("simulate", "--compare", str(file), "--seconds", "0.5")
    assert set(same["off"].values()) == {0.0}
    assert half["off"]["actions_per_second"] == pytest.approx(-0.5)
