"""Spend a request's cost from a rate limit: the same for an HTTP request and for a frame of a WebSocket."""

from __future__ import annotations

import time

from ...domain.errors import Code, LaurelsError
from .rate_limit import Key, RateLimit


def spend(
    limit: RateLimit, key: Key, cost: int = 1, headers: dict[str, str] | None = None, *, announce: bool = True
) -> None:
    """Take `cost` from the allowance of `key`. Raises LaurelsError(RATE_LIMITED).

    `headers` are those of the reply: RateLimit fields are added to them, without `announce` only on a refusal.
    """
    allowance = limit.hit(key, time.monotonic(), cost)
    if headers is not None and (announce or allowance.refused):
        headers.update(allowance.headers(limit.policy))
    if allowance.refused:
        raise LaurelsError(
            Code.RATE_LIMITED,
            f"More than {allowance.limit} a minute ({limit.policy}). Wait for retry_after seconds.",
            retry_after=allowance.retry_after,
        )
