"""A client's board is the truth after every reconnect, whatever happens to its socket."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from typing import Any

import pytest
from tests.live.screens import Screen, members, open_screen
from tests.support.node import InProcessNode
from websockets.exceptions import ConnectionClosed

PLAYERS = 12


@pytest.mark.parametrize("seconds", [8, pytest.param(120, marks=[pytest.mark.slow, pytest.mark.timeout(300)])])
async def test_a_client_that_is_cut_at_random_rebuilds_the_truth(node: InProcessNode, seconds: int) -> None:
    """By resuming: nothing, a delta, or the whole, and all three come to pass."""
    tokens = [await node.token(f"player-{n}") for n in range(PLAYERS)]
    still = asyncio.Lock()  # who holds it knows that nothing is being changed
    changes = asyncio.create_task(_change(node, tokens, still))
    resumed: Counter[str] = Counter()
    board: dict[str, Any] | None = None
    ends = time.monotonic() + seconds
    try:
        while time.monotonic() < ends:
            board = await _watch_until_cut(node, board, resumed)
            async with still:
                board = await _matches_the_truth(node, board, resumed)
                board = await _matches_the_truth(node, board, resumed)  # nothing has changed: it has it all
    finally:
        changes.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await changes
    assert set(resumed) == {"current", "delta", "snapshot"}, resumed


async def _change(node: InProcessNode, tokens: list[str], still: asyncio.Lock) -> None:
    for number in range(1_000_000):
        async with still:
            await node.complete(random.choice(tokens), f"a-{number}")


async def _resume(screen: Screen, board: dict[str, Any] | None, resumed: Counter[str]) -> None:
    """Take the board up from what is there."""
    if board is not None:
        screen.boards.append(board)
    since = {} if board is None else {"since": board["version"]}
    said = await screen.subscribe("board:points", size=10, **since)
    resumed[said["resumed"]] += 1
    if said["resumed"] != "current":
        await screen.next_board()


async def _watch_until_cut(
    node: InProcessNode, board: dict[str, Any] | None, resumed: Counter[str]
) -> dict[str, Any] | None:
    """Follow the board for a moment; then the network breaks, in the midst of whatever it was."""
    async with open_screen(node) as screen:
        cut = asyncio.get_running_loop().call_later(random.uniform(0.0, 0.5), screen.connection.transport.abort)
        with contextlib.suppress(ConnectionClosed):
            await _resume(screen, board, resumed)
            while True:
                await screen.next_board()
        cut.cancel()
    return screen.boards[-1] if screen.boards else board


async def _matches_the_truth(
    node: InProcessNode, board: dict[str, Any] | None, resumed: Counter[str]
) -> dict[str, Any]:
    """Come back once more while nothing changes: what was put together is what the node tells."""
    async with open_screen(node) as screen:
        await _resume(screen, board, resumed)
        told = (await node.get("/api/boards/points"))[1]
        shown = await screen.until(lambda shown: shown["rows"] == told["rows"])
        assert {**members(shown), "seq": 0} == {**members(told), "seq": 0}
        return shown
