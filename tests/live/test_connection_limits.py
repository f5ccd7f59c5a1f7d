"""Seats are bounded by node, address and user."""

from __future__ import annotations

import pytest

from laurels.domain.errors import LaurelsError
from laurels.live.connection_limits import ConnectionLimits


def test_seats_are_counted_before_the_handshake() -> None:
    """So that handshakes at the same time can't pass a limit together."""
    connection_limits = ConnectionLimits(limit=5, per_address=3, per_user=1)
    for _ in range(3):
        connection_limits.acquire("here")
    with pytest.raises(LaurelsError, match="One address may hold 3"):
        connection_limits.acquire("here")
    for _ in range(2):
        connection_limits.acquire("there")
    with pytest.raises(LaurelsError, match="This node holds all"):
        connection_limits.acquire("elsewhere")
    connection_limits.acquire_user(7)
    with pytest.raises(LaurelsError, match="One user may hold 1"):
        connection_limits.acquire_user(7)
    connection_limits.release("here")
    connection_limits.release_user(7)
    connection_limits.acquire("elsewhere")
    connection_limits.acquire_user(7)
