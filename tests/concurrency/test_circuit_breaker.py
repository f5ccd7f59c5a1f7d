"""A server that fails is left alone for a moment, then tried with one call at a time."""

from __future__ import annotations

import pytest

from laurels.concurrency.circuit_breaker import BreakerOpen, CircuitBreaker


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker("test", failures=3, pause=1.0, clock=clock)


def fail(breaker: CircuitBreaker, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(OSError), breaker.attempt(OSError):
            raise OSError


def test_failures_in_a_row_open_it(breaker: CircuitBreaker) -> None:
    fail(breaker, 2)
    with breaker.attempt(OSError):
        pass
    fail(breaker, 2)
    assert breaker.state == "closed"
    fail(breaker)
    assert breaker.state == "open"
    with pytest.raises(BreakerOpen), breaker.attempt(OSError):
        raise AssertionError("the call was made")


def test_one_call_at_a_time_tries_again(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now = 1.0
    assert breaker.state == "half-open"
    with breaker.attempt(OSError), pytest.raises(BreakerOpen), breaker.attempt(OSError):
        raise AssertionError("a second call was made")
    assert breaker.state == "closed"


def test_a_failed_try_opens_it_for_another_pause(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now = 1.0
    fail(breaker)
    assert breaker.state == "open"
    clock.now = 1.9
    assert breaker.state == "open"
    clock.now = 2.0
    assert breaker.state == "half-open"


def test_what_says_nothing_of_the_server_does_not_count(breaker: CircuitBreaker, clock: Clock) -> None:
    """A cancelled probe neither closes the breaker nor keeps others from trying."""
    fail(breaker, 3)
    clock.now = 1.0
    with pytest.raises(KeyboardInterrupt), breaker.attempt(OSError):
        raise KeyboardInterrupt
    assert breaker.state == "half-open"
    with breaker.attempt(OSError):
        pass
    assert breaker.state == "closed"
