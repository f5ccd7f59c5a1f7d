"""Runs of different proportions separate the costs."""

from __future__ import annotations

import pytest
from bench.costs import least_squares
from hypothesis import given, settings
from hypothesis import strategies as st

cost = st.floats(1e-6, 1e-2)


@settings(max_examples=25, deadline=None)
@given(cost, cost)
def test_what_two_kinds_of_work_took_is_found(batch: float, action: float) -> None:
    counts = [(1_000.0, 1_000.0), (800.0, 4_000.0), (300.0, 30_000.0)]
    spent = [batch * batches + action * actions for batches, actions in counts]
    assert least_squares(counts, spent) == pytest.approx([batch, action], rel=0.01, abs=1e-7)


def test_nothing_costs_less_than_nothing() -> None:
    assert least_squares([(1.0, 10.0), (10.0, 10.0)], [10.0, 1.0])[0] == 0.0
