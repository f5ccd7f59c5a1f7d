"""Actions decided per second, as operators see them."""

from __future__ import annotations

from laurels.ledger.write.throughput import SAMPLES, Throughput


def test_the_rate_is_the_mean_over_the_last_samples() -> None:
    decided, now = 0, 100.0
    throughput = Throughput(lambda: decided, clock=lambda: now)
    assert throughput.per_second() == 0.0
    throughput.sample()
    assert throughput.per_second() == 0.0, "one sample has no rate"
    for _ in range(3 * SAMPLES):
        now += 1.0
        decided += 50
        throughput.sample()
    assert throughput.per_second() == 50.0
    for _ in range(SAMPLES):
        now += 1.0
        throughput.sample()
    assert throughput.per_second() == 0.0, "what is older than the samples does not count"
