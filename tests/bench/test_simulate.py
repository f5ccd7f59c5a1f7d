"""`python -m bench.simulate`: a table or JSON, the same for the same seed, and its distance from a measured run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from bench.simulation import Costs, Load, Measured, Run, Shape, simulate

ROOT = Path(__file__).parents[2]


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    python = [sys.executable, "-m", "bench.simulate"]
    return subprocess.run([*python, *arguments], cwd=ROOT, check=False, capture_output=True, text=True, timeout=60)


def answer(*arguments: str) -> Any:
    done = command(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_same_seed_gives_the_same_answer() -> None:
    """One run for each rate and each number of connections, in the order they were asked for."""
    asked = ("--rates", "200", "900", "--connections", "8", "--seconds", "0.5", "--seed", "7")
    told = answer(*asked)
    assert [(load["rate"], load["connections"]) for load, _ in told["runs"]] == [(200, 0), (900, 0), (0, 8)]
    assert told == answer(*asked)


def test_the_table_names_the_busiest_part() -> None:
    done = command("--rates", "300", "--seconds", "0.5")
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
    same, half = answer("--compare", str(file), "--seconds", "0.5")
    assert set(same["off"].values()) == {0.0}
    assert half["off"]["actions_per_second"] == pytest.approx(-0.5)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "--rates"),
        (["--rates", "0"], "--rates"),
        (["--rates", "900000", "--seconds", "600"], "fewer seconds"),
        (["--compare", "/nowhere"], "can't read"),
        (["--compare", "/proc/self/status"], "bench.costs"),
    ],
)
def test_options_that_make_no_sense_are_refused(arguments: list[str], word: str) -> None:
    """The message names what was wrong."""
    done = command(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert word in done.stderr
    assert "Traceback" not in done.stderr
