"""Promises of the hub while a board can't be read."""

from __future__ import annotations

import asyncio

from tests.live.stage import SOON, Boards, a_stage
from tests.live.virtual_time import in_virtual_time

from laurels.domain.errors import Code, LaurelsError
from laurels.live import hub as live_hub


@in_virtual_time
async def test_a_board_that_could_not_be_read_is_tried_again() -> None:
    """The database is away: who watches keeps what is there, and gets the newest when it is back."""
    async with a_stage() as stage:
        pipe = await stage.idle()
        stage.boards.failure = LaurelsError(Code.DATABASE_UNAVAILABLE, "away")
        stage.move()
        newcomer = stage.join()
        await asyncio.sleep(10)
        reads = stage.boards.reads
        assert pipe.seqs == newcomer.seqs == [1]
        assert reads <= 2 + 10 / live_hub.RETRY_READ_SECONDS, "it was asked all the time"
        stage.boards.failure = None
        await asyncio.sleep(live_hub.RETRY_READ_SECONDS + SOON)
        assert pipe.seqs == newcomer.seqs == [1, 2]


@in_virtual_time
async def test_a_board_that_hangs_delays_no_other() -> None:
    async with a_stage() as stage:
        stage.boards.gate.clear()
        stuck = stage.join("stuck")
        await asyncio.sleep(SOON)
        stage.boards.gate = _open_for_others(stage.boards)
        pipe = stage.join("points")
        await asyncio.sleep(SOON)
        assert (stuck.seqs, pipe.seqs) == ([], [1])


def _open_for_others(boards: Boards) -> asyncio.Event:
    gate = asyncio.Event()
    gate.set()
    return gate


@in_virtual_time
async def test_viewers_of_a_board_that_is_gone_are_told() -> None:
    async with a_stage() as stage:
        pipe = await stage.idle()
        stage.boards.failure = LaurelsError(Code.BOARD_UNKNOWN, "gone")
        stage.move()
        await asyncio.sleep(SOON)
        assert pipe.connection.told is Code.BOARD_UNKNOWN
        assert not pipe.connection.subscriptions
        assert stage.hub._topics == {}
