"""Background work that fails: longer pauses, one line for each kind of failure, a count of all."""

from __future__ import annotations

import asyncpg
import pytest
import structlog

from laurels.domain.errors import Code, LaurelsError
from laurels.ledger.db.retries import FIRST_PAUSE, LONGEST_PAUSE, Retries
from laurels.telemetry import REGISTRY

REFUSED = asyncpg.InsufficientPrivilegeError("permission denied for table journal")
AWAY = LaurelsError(Code.DATABASE_UNAVAILABLE, "The ledger can't be reached.")


def counted(chore: str) -> float:
    return sum(
        sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name == "laurels_chore_failures_total" and sample.labels["chore"] == chore
    )


def test_pauses_grow_to_a_bound_and_end_with_success() -> None:
    retries = Retries("growing")
    pauses = []
    for _ in range(12):
        retries.failed(REFUSED)
        pauses.append(retries.pause)
    assert pauses[0] == FIRST_PAUSE
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE
    retries.succeeded()
    assert retries.pause == 0


def test_a_ledger_that_is_away_is_looked_for_without_a_longer_pause() -> None:
    """The journal's look is what makes a node ready again."""
    retries = Retries("away")
    for _ in range(5):
        retries.failed(AWAY)
        assert retries.pause == 0


@pytest.mark.parametrize("error", [REFUSED, AWAY, TimeoutError(), asyncpg.InterfaceError("closed")])
def test_each_kind_is_logged_once_and_every_failure_counted(error: Exception) -> None:
    chore = type(error).__name__
    with structlog.testing.capture_logs() as lines:
        retries = Retries(chore)
        for _ in range(3):
            retries.failed(error)
        retries.failed(ConnectionError("another kind"))
        retries.succeeded()
        retries.failed(error)
    assert [line["event"] for line in lines] == [
        *["chore failed, tried again"] * 2,
        "chore works again",
        "chore failed, tried again",
    ]
    assert all(line.get("reason") != "" for line in lines)
    assert counted(chore) == 5
