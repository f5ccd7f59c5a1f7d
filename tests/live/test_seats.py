"""Seats are bounded by node, address and user."""

from __future__ import annotations

import pytest

from laurels.domain.errors import LaurelsError
from laurels.live.seats import Seats


def test_seats_are_counted_before_the_handshake() -> None:
    """So that handshakes at the same time can't pass a limit together."""
    seats = Seats(limit=5, per_address=3, per_user=1)
    for _ in range(3):
        seats.take("here")
    with pytest.raises(LaurelsError, match="One address may hold 3"):
        seats.take("here")
    for _ in range(2):
        seats.take("there")
    with pytest.raises(LaurelsError, match="This node holds all"):
        seats.take("elsewhere")
    seats.take_user(7)
    with pytest.raises(LaurelsError, match="One user may hold 1"):
        seats.take_user(7)
    seats.release("here")
    seats.release_user(7)
    seats.take("elsewhere")
    seats.take_user(7)
