"""The model keeps what the service keeps, and what queueing theory says of any such model."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from bench.simulation import Costs, Load, Outcome, Shape, Unusable, service, simulate
from bench.simulation.clock import Clock, Disk, Process, Rows
from bench.simulation.service import SimulatedRequest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from laurels.ledger.write import writer

SHORT: dict[str, Any] = {"seconds": 0.4, "warm_up": 0.1}
FREE = Costs(request=0, batch=0, action=0, statements=0, row=0, flush=0, round_trip=0, call=0, change=0)

shapes = st.builds(
    Shape,
    nodes=st.integers(1, 3),
    lanes=st.integers(1, 4),
    queue_limit=st.integers(5, 200),
    batch_limit=st.integers(5, 50),
    database_cores=st.integers(1, 4),
    machine_cores=st.sampled_from([0, 2]),
    redis=st.booleans(),
)
sizes = (st.integers(1, 500), st.integers(1, 5))
loads = st.one_of(
    st.builds(lambda rate, users, n: Load(rate, 0, n, users, **SHORT), st.floats(50, 3_000), *sizes),
    st.builds(lambda count, users, n: Load(0, count, n, users, **SHORT), st.integers(1, 80), *sizes),
)
few = settings(max_examples=15, deadline=None, phases=(Phase.explicit, Phase.generate))
"""Not shrunk: a failing simulation is as plain as it gets, and shrinking would run it for minutes."""
fewer = settings(few, max_examples=5)
"""For simulations of some 100,000 events each."""


@dataclass
class Seen:
    requests: list[SimulatedRequest] = field(default_factory=list)

    def __call__(self, request: SimulatedRequest) -> None:
        self.requests.append(request)


@few
@given(shapes, loads, st.integers())
def test_every_arrival_is_answered_or_refused_once(shape: Shape, load: Load, seed: int) -> None:
    seen = Seen()
    told = simulate(Costs(), shape, load, seed=seed, watch=seen)
    assert told.arrived == told.answered + told.refused
    assert sorted(request.number for request in seen.requests) == list(range(1, told.arrived + 1))
    assert told.queue_most <= shape.queue_limit


@few
@given(shapes, loads, st.integers())
def test_the_same_seed_gives_the_same_answer(shape: Shape, load: Load, seed: int) -> None:
    assert simulate(Costs(), shape, load, seed=seed) == simulate(Costs(), shape, load, seed=seed)


@few
@given(shapes, loads, st.integers())
def test_who_came_first_is_in_no_later_batch(shape: Shape, load: Load, seed: int) -> None:
    """Of one node: the core and the queue are both first come, first served."""
    seen = Seen()
    simulate(Costs(), shape, load, seed=seed, watch=seen)
    for node in range(shape.nodes):
        own = [r for r in seen.requests if r.number % shape.nodes == node and not r.refused]
        batches = [r.batch for r in sorted(own, key=lambda r: (r.arrived, r.number))]
        assert batches == sorted(batches)
        by_batch = {batch: sum(len(r.users) for r in own if r.batch == batch) for batch in set(batches)}
        assert all(size <= shape.batch_limit for size in by_batch.values())


@few
@given(st.floats(200, 1_500), st.integers(1, 3), st.integers(0, 1_000))
def test_littles_law(rate: float, nodes: int, seed: int) -> None:
    """The number of requests in the service is their rate times their time in it (Little's law)."""
    told = simulate(Costs(), Shape(nodes=nodes), Load(rate=rate, seconds=2.0), seed=seed)
    assert told.refused == 0
    assert told.in_service_mean == pytest.approx(told.actions_per_second * told.latency_mean, rel=0.05)


@fewer
@given(st.integers(1, 4), st.integers(1, 40), st.floats(0.001, 0.02), st.floats(0, 0.0005))
def test_saturation_is_at_the_analytic_bound(lanes: int, limit: int, fixed: float, row: float) -> None:
    """Each lane commits full batches without a pause: lanes * limit / the time of one batch.

    So many wait that the share of the last lane is a full batch too.
    """
    costs = Costs(**{**_as_dict(FREE), "statements": fixed, "row": row})
    shape = Shape(lanes=lanes, batch_limit=limit, database_cores=lanes)
    load = Load(connections=lanes * limit * 3, users=10**9, seconds=1.5, warm_up=0.5)
    bound = lanes * limit / (fixed + row * limit)
    assert _rate(costs, shape, load) == pytest.approx(bound, rel=0.08)


@fewer
@given(st.floats(50e-6, 500e-6), st.integers(1, 4))
def test_a_node_answers_no_more_than_its_core_can(request: float, nodes: int) -> None:
    costs = Costs(**{**_as_dict(FREE), "request": request})
    told = simulate(costs, Shape(nodes=nodes), Load(connections=20 * nodes, **SHORT))
    assert told.actions_per_second == pytest.approx(nodes / request, rel=0.05)


@fewer
@given(st.integers(1, 3), st.floats(0.001, 0.01))
def test_more_lanes_are_never_slower_where_the_database_has_cores(lanes: int, fixed: float) -> None:
    costs = Costs(**{**_as_dict(FREE), "statements": fixed, "flush": 0.0})
    load = Load(connections=200, users=10**9, seconds=1.0, warm_up=0.5)
    shape: dict[str, Any] = {"batch_limit": 10, "database_cores": 8}
    assert _rate(costs, Shape(lanes=lanes + 1, **shape), load) >= _rate(costs, Shape(lanes=lanes, **shape), load) * 0.99


@few
@given(st.floats(0.0005, 0.01), st.floats(1.2, 4.0))
def test_a_slower_commit_is_never_faster(flush: float, times: float) -> None:
    """Of one lane without batches. Else it may be: batches fill and commits meet while a flush takes longer."""
    load = Load(connections=16, **SHORT)
    quick, slow = (Costs(**{**_as_dict(Costs()), "flush": value}) for value in (flush, flush * times))
    alone = Shape(lanes=1, batch_limit=1)
    assert _rate(slow, alone, load) <= _rate(quick, alone, load) * 1.02


def test_one_user_is_committed_one_batch_after_the_other() -> None:
    """Row locks are held to the end of the flush: nodes and lanes don't help one user, they do help many."""
    costs = Costs(**{**_as_dict(FREE), "flush": 0.01})
    shape = Shape(nodes=4, lanes=3, batch_limit=1)
    one = _rate(costs, shape, Load(connections=24, users=1, seconds=2.0))
    many = _rate(costs, shape, Load(connections=24, users=10**9, seconds=2.0))
    assert one == pytest.approx(100, rel=0.05)
    assert many > 5 * one


def test_a_full_queue_refuses_and_what_it_took_is_answered() -> None:
    costs = Costs(**{**_as_dict(FREE), "statements": 0.1})
    told = simulate(costs, Shape(lanes=1, queue_limit=50, batch_limit=10), Load(rate=1_000.0, **SHORT))
    assert told.queue_most == 50
    assert told.refused_share == pytest.approx(0.9, abs=0.05)
    assert told.answered + told.refused == told.arrived


def test_commits_that_meet_share_a_flush() -> None:
    clock, ended = Clock(), list[float]()
    disk = Disk(clock, 1.0)

    def commit(at: float) -> Process:
        yield clock.sleep(at)
        yield disk.flush
        ended.append(clock.now)

    for at in (0.0, 0.1, 0.2, 1.5):
        clock.start(commit(at))
    clock.run()
    assert ended == [1.0, 2.0, 2.0, 3.0]


@given(st.lists(st.sets(st.integers(0, 5), min_size=1), min_size=1, max_size=12))
def test_row_locks_exclude_and_never_block_each_other_for_good(wanted: list[set[int]]) -> None:
    clock, rows, held, done = Clock(), Rows(), set[int](), list[int]()

    def transaction(number: int, users: set[int]) -> Process:
        yield clock.sleep(number / 10)
        yield from rows.lock(sorted(users))
        assert not held & users
        held.update(users)
        yield clock.sleep(1.0)
        held.difference_update(users)
        rows.release(sorted(users))
        done.append(number)

    for number, users in enumerate(wanted):
        clock.start(transaction(number, users))
    clock.run()
    assert sorted(done) == list(range(len(wanted)))


@pytest.mark.parametrize(
    ("shape", "load"),
    [
        (Shape(), Load()),
        (Shape(), Load(rate=10, connections=10)),
        (Shape(), Load(rate=1e6, seconds=60)),
        (Shape(batch_limit=10), Load(rate=10, actions=11)),
    ],
)
def test_what_makes_no_sense_is_refused(shape: Shape, load: Load) -> None:
    with pytest.raises(Unusable):
        simulate(Costs(), shape, load)


def _rate(costs: Costs, shape: Shape, load: Load) -> float:
    told: Outcome = simulate(costs, shape, load)
    return told.actions_per_second


def _as_dict(costs: Costs) -> dict[str, float]:
    return {name: getattr(costs, name) for name in costs.__struct_fields__}


def test_lanes_start_as_the_writers_do() -> None:
    """The model imports nothing of the service, so its copies of these are compared here."""
    assert (service.LANE_THRESHOLD, service.WAKE_AFTER) == (writer.LANE_THRESHOLD, writer.WAKE_AFTER)


def test_a_further_lane_waits_for_a_batch_that_is_worth_it() -> None:
    """Fewer than that share the batches of one lane; with patience for none, each would have its own."""
    outcome = simulate(Costs(), Shape(lanes=3), Load(0, 8, 1, 100_000, **SHORT), seed=1)
    assert outcome.batch_mean > 3


PURE = {"__future__", "array", "collections", "dataclasses", "functools", "heapq", "random", "msgspec"}
"""Modules without a clock, a network or a disk."""


def test_the_simulation_is_pure() -> None:
    """It imports nothing of the service, and nothing that knows the time of day, a network or a disk."""
    files = sorted(Path(service.__file__).parent.glob("*.py"))
    assert len(files) > 1
    for file in files:
        assert set(_imported(file)) <= PURE, file


def _imported(file: Path) -> Iterator[str]:
    """Yield the top-level packages that a module imports from outside its own."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level != 1:
            yield "." if node.level else str(node.module).split(".")[0]
