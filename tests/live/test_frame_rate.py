"""When the hub sends a frame: at once after a rest, then so often and no more, and what is shown last is the truth."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from tests.live.stage import INTERVAL, PER_SECOND, SOON, a_stage, now
from tests.live.virtual_time import in_virtual_time

from laurels.live import hub as live_hub


@in_virtual_time
async def test_the_first_to_watch_gets_the_board_at_once() -> None:
    async with a_stage() as stage:
        pipe = stage.join()
        await asyncio.sleep(SOON)
        assert (pipe.seqs, pipe.times) == ([1], [0.0])


@in_virtual_time
async def test_a_move_after_a_rest_is_sent_at_once() -> None:
    async with a_stage() as stage:
        pipe = await stage.idle()
        moved_at = now()
        seq = stage.move()
        await asyncio.sleep(SOON)
        assert (pipe.seqs[-1], pipe.times[-1]) == (seq, moved_at)


@in_virtual_time
async def test_many_moves_make_no_more_frames_than_allowed_and_the_last_one_is_shown() -> None:
    """A thousand moves in a second: at most one frame per interval, in order, ending with the last state."""
    async with a_stage() as stage:
        pipe = await stage.idle()
        for _ in range(1000):
            stage.move()
            await asyncio.sleep(0.001)
        await asyncio.sleep(INTERVAL)
        gaps = [after - before for before, after in zip(pipe.times, pipe.times[1:], strict=False)]
        assert min(gaps) >= INTERVAL - 1e-9
        assert PER_SECOND - 1 <= len(pipe.seqs[1:]) <= PER_SECOND + 1
        assert pipe.seqs == sorted(set(pipe.seqs))
        assert pipe.seqs[-1] == stage.boards.seq


@pytest.mark.parametrize(("took", "pause"), [(0.0, 0.1), (0.02, 0.08), (0.06, 0.04), (0.08, 0.04), (0.5, 0.25)])
def test_frames_begin_an_interval_apart_and_leave_time_for_requests(took: float, pause: float) -> None:
    assert live_hub.pause_after(took, 0.1) == pytest.approx(pause)


@in_virtual_time
async def test_the_time_that_a_frame_takes_counts() -> None:
    """Else a hub that needs long sends fewer frames than it may."""
    async with a_stage() as stage:
        pipe = await stage.idle()
        stage.boards.takes = INTERVAL / 2
        for _ in range(1000):
            stage.move()
            await asyncio.sleep(0.001)
        await asyncio.sleep(2 * INTERVAL)
        gaps = [after - before for before, after in pairwise(pipe.times[1:])]
        assert gaps[:-1] == pytest.approx([INTERVAL] * len(gaps[:-1]), abs=0.002)
        assert len(gaps) >= PER_SECOND - 1


@in_virtual_time
async def test_a_move_that_changes_nothing_people_see_is_not_sent() -> None:
    """Not even after another client joined."""
    async with a_stage() as stage:
        stage.boards.shown = b"the same"
        pipe = await stage.idle()
        stage.move()
        await asyncio.sleep(1)
        other = stage.join()
        stage.move()
        await asyncio.sleep(1)
        assert pipe.seqs == [1]
        assert other.seqs == [2]


@in_virtual_time
async def test_what_moves_while_the_board_is_read_is_read_again() -> None:
    """Names may have to be fetched for a board that moves on meanwhile."""
    async with a_stage() as stage:
        pipe = await stage.idle()
        stage.boards.gate.clear()
        seen = stage.move()
        await asyncio.sleep(SOON)
        last = stage.move()
        stage.boards.gate.set()
        await asyncio.sleep(1)
        assert pipe.seqs == [1, seen, last]


@in_virtual_time
async def test_who_joins_while_the_board_is_read_sees_nothing_twice_or_backwards() -> None:
    async with a_stage() as stage:
        pipe = await stage.idle()
        stage.boards.gate.clear()
        stage.move()
        await asyncio.sleep(SOON)
        late = stage.join()
        stage.move()
        stage.boards.gate.set()
        await asyncio.sleep(1)
        assert pipe.seqs == late.seqs == [1, 2, 3]


@in_virtual_time
async def test_a_window_that_ends_is_replaced_without_anybody_moving() -> None:
    async with a_stage() as stage:
        stage.boards.ends_at = datetime.now(UTC) + timedelta(seconds=10)
        pipe = await stage.idle()
        stage.boards.seq, stage.boards.ends_at = 2, None
        await asyncio.sleep(8)
        assert pipe.seqs == [1]
        await asyncio.sleep(3)
        assert pipe.seqs == [1, 2]


@in_virtual_time
async def test_a_change_without_a_message_shows_in_the_end() -> None:
    async with a_stage() as stage:
        pipe = await stage.idle()
        stage.boards.seq += 1
        await asyncio.sleep(live_hub.REFRESH_ALL_SECONDS)
        assert pipe.seqs == [1, 2]
