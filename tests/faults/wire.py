"""Rows about the wire between nodes and PostgreSQL, for the small scene."""

from __future__ import annotations

import contextlib
import random
from collections.abc import AsyncIterator

from tests.faults.row import Row
from tests.faults.small import SmallScene


@contextlib.asynccontextmanager
async def replies_lost(scene: SmallScene, dice: random.Random) -> AsyncIterator[None]:
    """COMMIT arrives, its answer does not: what is written is not known."""
    scene.wire.swallow_replies = True
    yield
    scene.wire.heal()


@contextlib.asynccontextmanager
async def half_open(scene: SmallScene, dice: random.Random) -> AsyncIterator[None]:
    """Connections stay, and nothing moves on them."""
    scene.wire.half_open = True
    yield
    scene.wire.heal()


@contextlib.asynccontextmanager
async def connections_reset(scene: SmallScene, dice: random.Random) -> AsyncIterator[None]:
    """One chunk in fifty is answered by a reset, also in the middle of a transaction."""
    scene.wire.reset_share = 0.02
    yield
    scene.wire.heal()


@contextlib.asynccontextmanager
async def latency(scene: SmallScene, dice: random.Random) -> AsyncIterator[None]:
    """Every chunk takes 50 ms more in each direction."""
    scene.wire.latency = 0.05
    yield
    scene.wire.heal()


@contextlib.asynccontextmanager
async def trickle(scene: SmallScene, dice: random.Random) -> AsyncIterator[None]:
    """A kilobyte every 20 ms."""
    scene.wire.piece = 1024
    yield
    scene.wire.heal()


WIRE_ROWS = (
    Row("replies of PostgreSQL lost on the wire", replies_lost, gap=20, hold=3),
    Row("wire to PostgreSQL half open", half_open, gap=20, hold=3),
    Row("connections to PostgreSQL reset at random", connections_reset, gap=10, hold=4),
    Row("50 ms of latency to PostgreSQL", latency, gap=5, hold=3),
    Row("wire to PostgreSQL a trickle", trickle, gap=10, hold=3),
)
